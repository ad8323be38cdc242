"""Loss landscapes: how steeply the training loss rises around trained weights (Figs 1a, C.4a, C.7 of the paper).

The loss is what was trained on: cross-entropy with the mixed and smoothed targets of *augmented* training images. At
the point (x, y) the network, in evaluation mode, has the weights w + x a + y b, with two random directions a and b that
are as long as w filter by filter (`harness.probes.common.directions`). All points see the same augmented images; the
authors draw them anew at each, which roughens their surfaces.

What the paper plots is not NLL + l2 but NLL + weight_decay · sum of ||w_t|| over the tensors t, norms that are not
squared, and by far the larger summand: 76.7 of 78.9 at the centre of its ResNet. So NLL, the l2 term of weight decay
and the authors' term are kept apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from harness.errors import HarnessError, nearest
from harness.probes.common import without_gradients
from harness.probes.common.declaration import FORWARD, ProbeKind, TrainingParameters
from harness.store import Interrupted
from harness.store.identity import subseed
from harness.store.ledger import Ledger

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn

    from harness.probes.common.neighbourhood import Batch, Neighbourhood, Plane, Point

BATCHNORMS = ("stale", "fresh")
COLUMNS = ["sample", "images", "x", "y", "nll", "l2", "l2_norms"]

# A CPU is busy with the images of one point; a GPU waits for launches until there are several.
AT_ONCE = {"cpu": 1, "cuda": 16}


class LandscapeParameters(TrainingParameters):
    points: int = Field(default=21, ge=3, description="along each side of the grid; odd")
    radius: float = Field(default=1.0, gt=0, description="of the grid, in lengths of the weights")
    directions: int = Field(default=3, ge=1, description="planes, each with two random directions")
    normalisation: Literal["filter", "official"] = "filter"
    batchnorm: Literal["stale", "fresh"] = Field(
        default="stale", description="its running statistics: those of the centre, or estimated anew at every point"
    )
    direction_seed: int = Field(default=0, description="of the random directions")

    later = frozenset({"direction_seed", "batchnorm"})


KIND = ProbeKind(
    name="landscape",
    version=1,
    parameters=LandscapeParameters,
    keys=("x", "y"),
    values=("nll", "l2", "l2_norms"),
    sample="plane",
    told=("augment", "normalisation", "batchnorm"),
    split="train",
    l2=True,
    work=lambda p: FORWARD * p.points**2 * p.directions * (2 if p.batchnorm == "fresh" else 1),
    ledger=True,
)


def landscape(
    model: nn.Module,
    batches: Iterable[Batch],
    *,
    points: int = 21,
    radius: float = 1.0,
    directions: int = 3,
    normalisation: str = "filter",
    batchnorm: str = "stale",
    weight_decay: float = 5e-2,
    direction_seed: int = 0,
    ledger: Ledger | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    at_once: int | None = None,
) -> pd.DataFrame:
    """The training loss on square grids in random planes through the weights of a network.

    Args:
        model: gives logits; left in evaluation mode, its weights as they were.
        batches: (inputs [image, ...], soft targets float [image, class]), on the model's device: augmented training
            images. They are drawn once and all kept, so that every point of every plane sees the same.
        points: along each side of the grid, odd; the paper has 21.
        radius: x and y run from -radius to radius, in lengths of the weights.
        directions: how many planes, each with two directions of its own.
        normalisation: "filter" (Li et al. 2018), or "official" for that of the authors' code.
        batchnorm: whether its running statistics stay those of the centre ("stale", as in the paper's code) or are
            estimated anew from these images at every point ("fresh"), which costs a second pass over them.
        weight_decay: of the l2 terms.
        direction_seed: of the random directions.
        ledger: keeps every point that is done, and those that it holds are not computed again. An interrupted and
            resumed landscape equals an uninterrupted one, bit by bit on a CPU.
        should_stop: asked before every point, or all that are evaluated at once.
        at_once: points evaluated at once; none for 1 on a CPU, 16 on a GPU.

    Returns:
        A row a plane and point: sample (number of the plane), images (seen at each point), x, y, nll (nats; infinite
        or nan where the logits overflow), l2 (weight_decay / 2 · sum of squares of all parameters), l2_norms
        (weight_decay · sum of the parameter tensors' norms, as the paper plots it).

    Raises:
        HarnessError: a grid without a centre, no such normalisation or batchnorm, no images, targets that are not soft,
            or a model without weights of two dimensions.
        Interrupted: asked to stop; what is done is in the ledger.
    """
    import pandas as pd
    import torch

    from harness.curvature.hvp import full_precision
    from harness.probes.common.directions import NORMALISATIONS, movable, random_direction
    from harness.probes.common.neighbourhood import Neighbourhood, Plane

    if points < 3 or points % 2 == 0:
        raise HarnessError(f"points={points}: a landscape needs an odd number of at least 3, to have a centre")
    if normalisation not in NORMALISATIONS:
        raise HarnessError(f"normalisation={normalisation!r} is unknown; {nearest(normalisation, NORMALISATIONS)}")
    if batchnorm not in BATCHNORMS:
        raise HarnessError(f"batchnorm={batchnorm!r} is unknown; {nearest(batchnorm, BATCHNORMS)}")
    batches = list(checked(batches))
    moved = movable(model)
    if not moved:
        raise HarnessError("a landscape moves parameters of two and more dimensions; the model has none")
    model.eval()
    at_once = at_once or AT_ONCE.get(batches[0][0].device.type, 1)
    half = points // 2
    steps = range(-half, half + 1)
    grid = [(radius * column / half, radius * row / half) for column in steps for row in steps]
    tables = []
    with full_precision(), Neighbourhood(model, moved, batches, at_once, fresh=batchnorm == "fresh") as around:
        for sample in range(directions):
            generator = torch.Generator().manual_seed(subseed(direction_seed, "directions", sample))
            plane = Plane(*(random_direction(around.weights, normalisation, generator) for _ in "xy"))
            squares = squared_norms(model, moved, around.weights, plane, grid)
            # The length at a corner sets other weights and directions apart, should the ledger hold such.
            name = f"{sample}:{squares[-1].sum().item():.9e}" + ":fresh" * (batchnorm == "fresh")
            rows = {
                "sample": sample,
                "images": around.images,
                "x": [x for x, _ in grid],
                "y": [y for _, y in grid],
                "nll": surface(around, plane, grid, name, ledger, should_stop),
                "l2": (weight_decay / 2 * squares.sum(1)).tolist(),
                "l2_norms": (weight_decay * squares.sqrt().sum(1)).tolist(),
            }
            tables.append(pd.DataFrame(rows, columns=COLUMNS))
    return pd.concat(tables, ignore_index=True)


def surface(
    around: Neighbourhood,
    plane: Plane,
    grid: Sequence[Point],
    name: str,
    ledger: Ledger | None,
    should_stop: Callable[[], bool],
) -> list[float]:
    """NLL at every point of the grid; those that the ledger holds under this name are taken from there.

    Raises:
        Interrupted: asked to stop.
    """
    found: dict[str, float] = {} if ledger is None else ledger.found
    names = [f"{name}/{x!r},{y!r}" for x, y in grid]
    size = around.at_once
    # An interruption leaves the groups as they are, since company may change the last bit of a loss.
    for start in range(0, len(grid), size):
        group = names[start : start + size]
        if all(each in found for each in group):
            continue
        if should_stop():
            raise Interrupted("landscape")
        losses = map(one_nan, around.nll(plane, grid[start : start + size]))
        new = dict(zip(group, losses, strict=True))
        found.update(new) if ledger is None else ledger.add(new)
    return [found[each] for each in names]


def checked(batches: Iterable[Batch]) -> Iterable[Batch]:
    from harness.probes.common.images import labelled_batches

    for inputs, targets in labelled_batches(batches):
        if targets.ndim != 2 or not targets.is_floating_point():
            found = f"{str(targets.dtype).removeprefix('torch.')} of shape {tuple(targets.shape)}"
            raise HarnessError(f"a landscape needs soft targets, float [image, class] for each image; found {found}")
        yield inputs, targets


@without_gradients
def squared_norms(
    model: nn.Module, moved: dict[str, nn.Parameter], weights: list[Tensor], plane: Plane, grid: Sequence[Point]
) -> Tensor:
    """||w_t + x a_t + y b_t||² for every point of the grid and parameter tensor t, float64 [point, tensor].

    A quadratic form of (1, x, y), whose coefficients are the scalar products of w_t, a_t and b_t.
    """
    import torch

    places = torch.tensor([(1.0, x, y) for x, y in grid], dtype=torch.float64)
    squares = [
        parameter.double().square().sum().cpu().expand(len(grid))
        for name, parameter in model.named_parameters()
        if name not in moved
    ]
    for vectors in zip(weights, *plane, strict=True):
        flat = torch.stack(vectors).flatten(1).double()
        products = (flat @ flat.T).cpu()
        squares.append((places @ products * places).sum(1).clamp_min(0))  # 0 may come out as -1e-20
    return torch.stack(squares, dim=1)


def one_nan(value: float) -> float:
    """The number; any of the many nans as the one that a ledger reads back."""
    return math.nan if math.isnan(value) else value
