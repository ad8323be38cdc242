"""What a network still knows of corrupted images: CIFAR-C's corruptions and severities (paper Fig 12, Appendix).

The authors take robustness as the mean accuracy over 15 corruptions of 5 severities (their repository).
Corrupted images are made anew of the test images, or read from the published files; see `harness.corruptions`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from harness.corruptions.constants import CORRUPTIONS, GROUPS, SEVERITIES
from harness.errors import HarnessError, nearest
from harness.probes.common import without_gradients
from harness.probes.common.declaration import FORWARD, GroupedParameters, ProbeKind
from harness.readings import corrupted

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn

    from harness.corruptions import Official


class CorruptionParameters(GroupedParameters):
    corruptions: tuple[str, ...] = Field(default=CORRUPTIONS, min_length=1, description="which; none but known ones")
    official: bool = Field(default=False, description="the published files in the data root; false to make them anew")
    seed: int = Field(default=0, description="of what is random in corruptions made anew")
    brief: bool = Field(default=False, description="only how many images are classified correctly")

    later = frozenset({"draw", "brief"})

    @field_validator("corruptions")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in GROUPS:
                raise ValueError(f"no corruption {name!r}; {nearest(name, GROUPS)}")
        return names


KIND = ProbeKind(
    name="corruption",
    version=2,
    parameters=CorruptionParameters,
    keys=("corruption", "group", "severity", "source"),
    values=(*corrupted.MEANS, *corrupted.WHOLE),
    sample="image group",
    told=("official",),
    pixels=True,
    work=lambda p: 2 * FORWARD * len(SEVERITIES) * len(p.corruptions),  # making one takes as long as looking at it
)


@without_gradients
def corruption(
    model: nn.Module,
    images: Iterable[tuple[Tensor, Tensor]],
    *,
    mean: Sequence[float],
    std: Sequence[float],
    corruptions: Sequence[str] = CORRUPTIONS,
    numbers: Tensor | None = None,
    official: Official | None = None,
    seed: int = 0,
    brief: bool = False,
    groups: int = 32,
) -> pd.DataFrame:
    """How good predictions of corrupted images are, by corruption and severity, in evaluation mode.

    An image's corruption depends on the seed and on its number alone: it is the same for every network.

    Args:
        model: gives logits [batch, class].
        images: batches of (standardised images [batch, 3 or 1, side, side], labels [batch]), on the model's device.
        mean: with which they were standardised, per channel, of images scaled to 0 ... 1; so is `std`.
        corruptions: names of `harness.corruptions.CORRUPTIONS` or `EXTRA`.
        numbers: int64 [image], of the images in the test set; in order from 0 if none are given.
        official: published corrupted images, which are taken instead of making them anew; `images` then give their
            labels alone.
        seed: of what is random in corruptions made anew.
        brief: of what is measured only `correct` is wanted.
        groups: the images are dealt into so many groups that are kept apart, for intervals over images.

    Returns:
        A row a corruption, severity and group: corruption, group (of the corruption: "noise", "blur", "weather",
        "digital"), severity (1 to 5), source ("official"; "regenerated" by the definition; "surrogate" for frost made
        without its photographs), sample (the group of images), images (in it), and means over the images of the group:
        correct, top5 (of how many fewer than 5 classes have a larger logit than the label), nll (nats), brier,
        confident (with a confidence above 0.9), confident_correct (both), gap_0 to gap_9 (confidence minus correctness
        of those in each of ten bins of confidence); iou and iou90 (0 where nothing is confident) are of all groups
        together. `by_corruption` and `by_group` of `harness.readings` make all metrics of them.

    Raises:
        HarnessError: no such corruption, images without labels or of more than 8 bits, or published files that lack a
            corruption or have other labels.
    """
    import pandas as pd
    import torch

    from harness import metrics
    from harness.corruptions import corrupt, source_of
    from harness.data.standard import Standard
    from harness.probes.common.images import labelled_batches

    model.eval()
    kinds = [(name, severity) for name in corruptions for severity in SEVERITIES]
    sources = {name: "official" if official else source_of(name) for name in corruptions}
    answers: list[list[Tensor]] = [[] for _ in kinds]
    seen = 0
    for batch, labels in labelled_batches(images):
        standard = Standard(mean, std, batch.device)
        places = torch.arange(seen, seen + len(batch))
        mine = places if numbers is None else numbers[seen : seen + len(batch)]
        if official:
            _check_labels(official, mine, labels)
        clean = standard.pixels(batch)
        for found, (name, severity) in zip(answers, kinds, strict=True):
            if official:
                pixels = official.images(name, severity, mine).to(batch.device)
            else:
                pixels = corrupt(clean, name, severity, seed=seed, indices=mine)
            found.append(metrics.per_image(model(standard.standardise(pixels)), labels))
        seen += len(batch)
    tables = [
        _of_groups(torch.cat(found), groups).assign(
            corruption=name, group=GROUPS[name], severity=severity, source=sources[name]
        )
        for found, (name, severity) in zip(answers, kinds, strict=True)
    ]
    measured = ["correct"] if brief else KIND.values
    return pd.concat(tables, ignore_index=True)[[*KIND.keys, "sample", "images", *measured]]


def _of_groups(answers: Tensor, groups: int) -> pd.DataFrame:
    """A row a group of images: what is measured of it, of what `per_image` gives of all of them."""
    from harness import metrics, readings

    table = metrics.as_table(answers)
    group = (table.index % groups).rename("sample")
    each = corrupted.means_of_images(table).groupby(group)
    sure = readings.iou90(table)
    whole = {"iou": readings.iou(table), "iou90": 0.0 if math.isnan(sure) else sure}
    return each.mean().assign(images=each.size(), **whole).reset_index()


def _check_labels(official: Official, numbers: Tensor, labels: Tensor) -> None:
    """The published files go by the order of the test set, which a copy of it may have changed."""
    theirs = official.labels(numbers)
    if different := int((theirs != labels.cpu()).sum()):
        raise HarnessError(
            f"{different} of {len(labels)} test images have another label in the published corrupted images; "
            "expected the same images in the same order"
        )
