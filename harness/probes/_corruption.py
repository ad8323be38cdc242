"""What a network still knows of corrupted images: CIFAR-C's corruptions and severities (paper Fig 12, Appendix).

The authors take robustness as the mean accuracy over 15 corruptions of 5 severities (their repository).
Corrupted images are made anew of the test images, or read from the published files; see `harness.corruptions`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from harness.corruptions.constants import CORRUPTIONS, GROUPS, SEVERITIES
from harness.errors import HarnessError, nearest
from harness.probes.common import without_gradients
from harness.probes.common.declaration import GroupedParameters, ProbeKind

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn

    from harness.corruptions import Official


class CorruptionParameters(GroupedParameters):
    corruptions: tuple[str, ...] = Field(default=CORRUPTIONS, min_length=1, description="which; none but known ones")
    official: bool = Field(default=False, description="the published files in the data root; false to make them anew")
    seed: int = Field(default=0, description="of what is random in corruptions made anew")

    @field_validator("corruptions")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in GROUPS:
                raise ValueError(f"no corruption {name!r}; {nearest(name, GROUPS)}")
        return names


KIND = ProbeKind(
    name="corruption",
    version=1,
    parameters=CorruptionParameters,
    keys=("corruption", "group", "severity", "source"),
    values=("correct", "nll"),
    sample="image group",
    told=("official",),
    pixels=True,
)


def scores(logits: Tensor, labels: Tensor) -> Tensor:
    """What is measured of each image, in the order of the declared values: float64 [image, value]."""
    import torch
    from torch.nn.functional import cross_entropy

    correct = (logits.argmax(1) == labels).double()
    return torch.stack([correct, cross_entropy(logits.float(), labels, reduction="none").double()], dim=1)


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
    groups: int = 32,
) -> pd.DataFrame:
    """Accuracy and NLL on corrupted images, by corruption and severity, in evaluation mode.

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
        groups: the images are dealt into so many groups that are kept apart, for intervals over images.

    Returns:
        A row a corruption, severity and group: corruption, group (of the corruption: "noise", "blur", "weather",
        "digital"), severity (1 to 5), source ("official"; "regenerated" by the definition; "surrogate" for frost made
        without its photographs), sample (the group of images), images (in it), correct (share, 0 to 1), nll (nats).

    Raises:
        HarnessError: no such corruption, images without labels or of more than 8 bits, or published files that lack a
            corruption or have other labels.
    """
    import pandas as pd
    import torch

    from harness.corruptions import corrupt, source_of
    from harness.data.standard import Standard
    from harness.probes.common.images import labelled_batches

    model.eval()
    kinds = [(name, severity) for name in corruptions for severity in SEVERITIES]
    sources = {name: "official" if official else source_of(name) for name in corruptions}
    counts = torch.zeros(groups, dtype=torch.long)
    sums = torch.zeros(len(kinds), groups, len(KIND.values), dtype=torch.float64)
    seen = 0
    for batch, labels in labelled_batches(images):
        standard = Standard(mean, std, batch.device)
        places = torch.arange(seen, seen + len(batch))
        mine = places if numbers is None else numbers[seen : seen + len(batch)]
        if official:
            _check_labels(official, mine, labels)
        clean = standard.pixels(batch)
        group = places % groups
        counts += group.bincount(minlength=groups)
        found = []
        for name, severity in kinds:
            if official:
                pixels = official.images(name, severity, mine).to(batch.device)
            else:
                pixels = corrupt(clean, name, severity, seed=seed, indices=mine)
            found.append(scores(model(standard.standardise(pixels)), labels))
        sums.index_add_(1, group, torch.stack(found).cpu())
        seen += len(batch)
    means = sums / counts[:, None]
    rows = [
        (name, GROUPS[name], severity, sources[name], sample, count, *means[kind, sample].tolist())
        for kind, (name, severity) in enumerate(kinds)
        for sample, count in enumerate(counts.tolist())
        if count
    ]
    return pd.DataFrame(rows, columns=[*KIND.keys, "sample", "images", *KIND.values])


def _check_labels(official: Official, numbers: Tensor, labels: Tensor) -> None:
    """The published files go by the order of the test set, which a copy of it may have changed."""
    theirs = official.labels(numbers)
    if different := int((theirs != labels.cpu()).sum()):
        raise HarnessError(
            f"{different} of {len(labels)} test images have another label in the published corrupted images; "
            "expected the same images in the same order"
        )
