"""Which probes look at a network, on how many of the images, and their tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from harness.examine.subjects import Subject
from harness.probes.common.declaration import ProbeKind
from harness.probes.kinds import PROBES
from harness.store import Interrupted

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from torch import Tensor, nn

    from harness.data import DatasetInfo, Split

BATCH, BATCH_OF_SMALL, SMALL = 16, 128, 64  # images at once; up to so many px
LARGE, FEW, MANY = 224, 64, 512  # px of an image of which so few are looked at; of smaller ones more, up to so many
GROUPS = 16  # of images, for intervals


@dataclass(frozen=True)
class Asked:
    """One probe of every network.

    Attributes:
        images: the first so many.
        of_loss: whether it differentiates or maps the loss, and so wants soft targets.
    """

    probe: str
    images: int
    parameters: dict[str, Any] = field(default_factory=dict)
    of_loss: bool = False

    @property
    def kind(self) -> ProbeKind:
        return PROBES[self.probe]


def usual_number(side: int) -> int:
    """Images of so many pixels a side that make a look at two networks a matter of minutes on two cores."""
    return min(max(FEW * (LARGE // side) ** 2, FEW), MANY)


def asked(number: int, side: int, *, labelled: bool) -> list[Asked]:
    """What is measured on so many images, cheapest first.

    Whoever has no labels learns what can be told without: noise and lesions then cost agreement with the network's own
    answers. The loss is looked at around the weights as they are, without weight decay, on a part of the images.
    """
    share = max(number // 4, min(number, 16))
    units = [
        Asked("fourier", number, {"groups": GROUPS}),
        Asked("variance", number, {"groups": GROUPS}),
        Asked("similarity", number, {"minibatch": max(number // GROUPS, 4), "groups": GROUPS}),
    ]
    with_labels = [
        Asked("prediction", number),
        Asked("corruption", share, {"groups": GROUPS}),
        Asked("hessian", share, {"weight_decay": 0.0, "batch_size": 16}, of_loss=True),
        Asked("landscape", share, {"weight_decay": 0.0, "points": 11, "directions": 1}, of_loss=True),
    ]
    answers = [
        Asked("lesion", number, {"groups": GROUPS}),
        Asked("noise", number, {"groups": GROUPS}),
    ]
    return [*units, *with_labels[:1], *answers, *with_labels[1:]] if labelled else [*units, *answers]


@dataclass(frozen=True)
class Bench:
    """A network with the images as it takes them.

    Attributes:
        info: of the images: how they are standardised, and how many classes it tells apart.
        split: uint8 images, with labels as the network numbers them, if there are any.
    """

    subject: Subject
    model: nn.Module
    info: DatasetInfo
    split: Split
    labelled: bool
    device: torch.device

    def measure(self, wish: Asked, should_stop: Callable[[], bool]) -> pd.DataFrame:
        """The probe's table.

        Raises:
            HarnessError: what the probe refused.
            Interrupted: asked to stop, which happens before the next batch of images.
        """
        import harness.probes

        parameters = dict(wish.parameters)
        if wish.probe == "corruption":
            parameters |= {"mean": self.info.mean, "std": self.info.std}
        size = parameters.pop("batch_size", self._size)
        batches = self._batches(wish.images, size, should_stop)
        if wish.of_loss:
            batches = ((images, self._soft(labels)) for images, labels in batches)
        table: pd.DataFrame = getattr(harness.probes, wish.probe)(self.model, batches, **parameters)
        return table

    def _batches(self, count: int, size: int, should_stop: Callable[[], bool]) -> Iterator[tuple[Tensor, Tensor]]:
        place = 0
        for images, _ in self._loader.batches(size):
            if place >= count:
                return
            if should_stop():
                raise Interrupted(self.subject.name)
            kept = images[: count - place]
            yield kept, self._answers[place : place + len(kept)]
            place += len(kept)

    @property
    def _size(self) -> int:
        return BATCH_OF_SMALL if self.info.image_size <= SMALL else BATCH

    @cached_property
    def _loader(self) -> Any:
        from harness.training.load import load

        return load(self.split, self.info, self.device)

    @cached_property
    def _answers(self) -> Tensor:
        """The labels; without any, what the network itself says of each image."""
        import torch

        if self.labelled:
            return self._loader.labels
        self.model.eval()
        with torch.no_grad():
            return torch.cat([self.model(images).argmax(1) for images, _ in self._loader.batches(self._size)])

    def _soft(self, labels: Tensor) -> Tensor:
        from torch.nn.functional import one_hot

        return one_hot(labels, self.info.classes).float()
