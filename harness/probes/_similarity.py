"""Similarity of what units compute: mini-batch linear CKA, unbiased (Nguyen et al. 2021; paper Figs 10a and D.3).

For a mini-batch of n images let X [n, features] be the flattened maps of a unit, after its residual add, and K = X Xᵀ
with its diagonal set to zero. U-centred (Székely and Rizzo 2014),

    Kᵤ(i, j) = K(i, j) - Σ_l K(i, l) / (n - 2) - Σ_l K(l, j) / (n - 2) + Σ_lm K(l, m) / ((n - 1)(n - 2)),  i ≠ j

such matrices give the unbiased estimator of HSIC (Song et al. 2012) as a plain inner product, so that one matrix
product has all pairs of units at once:

    HSIC(a, b) = <Kᵤ(a), Kᵤ(b)> / (n (n - 3))
    CKA(a, b) = mean HSIC(a, b) / √(mean HSIC(a, a) · mean HSIC(b, b)),  means over mini-batches
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from pydantic import Field

from harness.errors import HarnessError
from harness.probes.common import without_gradients
from harness.probes.common.declaration import UNIT, GroupedParameters, ProbeKind

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn

    from harness.probes.common.images import Images
    from models import Unit

FEWEST = 4  # images that the unbiased estimator takes
ROUNDING = 1e-12  # features that vary by less than a millionth of their size are constant but for rounding


class SimilarityParameters(GroupedParameters):
    minibatch: int = Field(default=100, ge=4, description="images among which similarities are compared at a time")


KIND = ProbeKind(
    name="similarity",
    version=1,
    parameters=SimilarityParameters,
    keys=(*UNIT, "other"),
    values=("hsic",),
    sample="mini-batch group",
)


def centred_gram(maps: Tensor) -> Tensor:
    """The U-centred Gram matrix of a mini-batch; zero where all images have the same features.

    Args:
        maps: [image, ...], at least four images.

    Returns:
        float64 [image, image], with zeros on its diagonal.
    """
    n = len(maps)
    maps = maps.float()
    mean = maps.mean(0)
    # Centring changes nothing in exact arithmetic, but keeps a large mean from drowning the rest in single precision.
    features = (maps - mean).flatten(1)
    gram = (features @ features.T).double()
    constant = gram.trace() <= ROUNDING * n * mean.double().square().sum()
    rows = gram.fill_diagonal_(0).sum(1)
    centred = gram - (rows[:, None] + rows) / (n - 2) + rows.sum() / ((n - 1) * (n - 2))
    return centred.fill_diagonal_(0) * ~constant


@without_gradients
def similarity(model: nn.Module, images: Images, *, minibatch: int = 100, groups: int = 32) -> pd.DataFrame:
    """HSIC between all pairs of units of a network that `models.anatomy` knows; `cka` turns the table into CKA.

    Streams: every mini-batch passes once, and of its features only Gram matrices are made. What is kept does not grow
    with the number of images. The images are cut into mini-batches anew, so the result does not depend on how they
    come; a remainder of fewer than four images is left out.

    Args:
        model: any network with an anatomy.
        images: standardised, on the model's device: a tensor [image, channel, height, width] or batches of them, with
            or without labels.
        minibatch: images in each; larger ones have less variance, and the estimator is unbiased at any size.
        groups: the mini-batches are dealt into so many groups that are kept apart, for intervals over images.

    Returns:
        A row an ordered pair of units and group: unit, name, kind, stage, depth (0 to 1), height, width, other (the
        other unit's index), sample (the group), images (in the group), hsic. A unit with the same features for every
        image has HSIC 0, which `cka` makes similarity 0, and a warning names it.

    Raises:
        HarnessError: fewer than four images, or features that are not finite.
    """
    import torch

    from harness.probes.common.images import image_batches, in_batches_of, peek, shape_of
    from models import anatomy

    first, batches = peek(image_batches(images))
    model.eval()
    body = anatomy(model, example_shape=shape_of(first))
    grams: dict[Unit, Tensor] = {}
    sums: list[Tensor] = []
    counts: list[int] = []

    def add(unit: Unit, maps: Tensor) -> None:
        grams[unit] = centred_gram(maps).flatten()

    with body.reading(add):
        for number, (batch,) in enumerate(in_batches_of(minibatch, ((part,) for part in batches))):
            if (n := len(batch)) < FEWEST:
                break
            model(batch)
            stacked = torch.stack(list(grams.values()))
            hsic = stacked @ stacked.T / (n * (n - 3))
            if number < groups:
                sums.append(n * hsic)
                counts.append(n)
            else:
                sums[number % groups] += n * hsic
                counts[number % groups] += n
    if not sums:
        raise HarnessError(f"CKA needs {FEWEST} images or more in a mini-batch")
    means = torch.stack(sums).cpu() / torch.tensor(counts)[:, None, None]
    return _table(list(grams), means, counts)


def _table(units: list[Unit], means: Tensor, counts: list[int]) -> pd.DataFrame:
    import pandas as pd

    own = means.diagonal(dim1=1, dim2=2).sum(0)
    for unit, value in zip(units, own.tolist(), strict=True):
        if value == 0:
            warnings.warn(
                f"{unit.name} has the same features for every image; its similarity is set to 0", stacklevel=3
            )
    bad = [unit.name for unit, finite in zip(units, own.isfinite().tolist(), strict=True) if not finite]
    if bad:
        raise HarnessError(f"the features of {bad[0]} are not finite, or too large for single precision")
    rows = [
        (
            *(unit.index, unit.name, unit.kind, unit.stage, unit.depth, *(unit.shape or (0, 1, 1))[1:], other.index),
            *(sample, count, means[sample, a, b].item()),
        )
        for a, unit in enumerate(units)
        for b, other in enumerate(units)
        for sample, count in enumerate(counts)
    ]
    return pd.DataFrame(rows, columns=[*UNIT, "other", "sample", "images", "hsic"])
