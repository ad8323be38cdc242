"""The networks that are examined: by which name, with which weights, and what they expect of images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError
from harness.plan.run import SUBJECT, ModelSpec

if TYPE_CHECKING:
    from torch import nn

    from harness.data import DatasetInfo

TIMM = "timm/"
RANDOM = "random weights"


@dataclass(frozen=True)
class Subject:
    """One network.

    Attributes:
        name: how page and tables call it.
    """

    name: str
    model: ModelSpec

    @property
    def weights(self) -> str:
        """In words."""
        if self.model.overrides.get("pretrained"):
            return "timm's weights"
        checkpoint = self.model.overrides.get("checkpoint")
        return Path(checkpoint).name if checkpoint else RANDOM

    @property
    def pretrained(self) -> bool:
        return bool(self.model.overrides.get("pretrained"))

    def build(self, info: DatasetInfo) -> nn.Module:
        """The network for images like these, its random weights the same every time.

        Raises:
            ModelError: it cannot be built; the message says which.
        """
        import torch

        from models import create_model

        torch.manual_seed(0)
        return create_model(
            self.model.name,
            num_classes=info.classes,
            image_size=info.image_size,
            in_chans=info.channels,
            **self.model.overrides,
        )


def subjects(models: Sequence[str], *, pretrained: bool, checkpoints: Sequence[str]) -> list[Subject]:
    """What the command line names.

    Args:
        models: names of this project, `timm/<name>`, `/path/to/file.py:factory` or `package.module:factory`.
        pretrained: whether timm's come with weights.
        checkpoints: none, or one for each of the models in order, "-" for none.

    Raises:
        HarnessError: weights for other than so many networks, or pretrained ones where timm has no part in it.
    """
    if checkpoints and len(checkpoints) != len(models):
        raise HarnessError(
            f"{len(models)} networks and {len(checkpoints)} times --checkpoint: give one for each network in order, "
            "--checkpoint - for none"
        )
    found = []
    for model, checkpoint in zip(models, checkpoints or ["-"] * len(models), strict=True):
        overrides: dict[str, Any] = {}
        if checkpoint != "-":
            overrides["checkpoint"] = str(Path(checkpoint).resolve())
        elif pretrained and model.startswith(TIMM):
            overrides["pretrained"] = True
        elif pretrained:
            raise HarnessError(f"--pretrained: only networks of timm/ come with weights; give {model} a --checkpoint")
        name = SUBJECT + model if ":" in model else model
        found.append(Subject(short_name(model), ModelSpec(name=name, overrides=overrides)))
    return list(with_names_of_their_own(found))


def short_name(model: str) -> str:
    """`timm/resnet18` and `nets.py:resnet18` are both resnet18."""
    return model.rpartition(":")[2].rpartition("/")[2]


def with_names_of_their_own(found: Sequence[Subject]) -> Iterator[Subject]:
    """Alike names get their weights behind them, and a number where that does not help."""
    taken: set[str] = set()
    for subject in found:
        alike = sum(other.name == subject.name for other in found) > 1
        name = wished = f"{subject.name} {subject.weights}" if alike else subject.name
        number = 2
        while name in taken:
            name, number = f"{wished} {number}", number + 1
        taken.add(name)
        yield replace(subject, name=name)


@dataclass(frozen=True)
class Expected:
    """What timm knows of the images that a network's weights are for.

    Attributes:
        side: of the images, in pixels.
        crop: share of the resized image's side.
    """

    side: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: int
    crop: float
    interpolation: str


def expected(subject: Subject) -> Expected | None:
    """Of a network of timm's; None of any other, and of a name that timm does not know, which building it will say."""
    if not subject.model.name.startswith(TIMM):
        return None
    from models._timm import timm

    from timm.data import resolve_data_config  # isort: skip
    from timm.models import get_pretrained_cfg  # isort: skip

    try:
        settings = get_pretrained_cfg(subject.model.name.removeprefix(TIMM))
    except RuntimeError:  # "Invalid pretrained tag"
        settings = None
    if settings is None or not timm.is_model(subject.model.name.removeprefix(TIMM)):
        return None
    found = resolve_data_config(pretrained_cfg=settings.to_dict())
    return Expected(
        side=found["input_size"][-1],
        mean=tuple(found["mean"]),
        std=tuple(found["std"]),
        classes=settings.num_classes,
        crop=found["crop_pct"],
        interpolation=found["interpolation"],
    )
