"""Leading Hessian eigenvalues of the training loss, mini-batch by mini-batch (paper 2, A.1, A.2; Figs 1c, 4)."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from harness.errors import HarnessError, nearest
from harness.probes.common.declaration import ProbeKind, TrainingParameters

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from torch import Tensor, nn

    from harness.curvature.lanczos import Eigenpairs

CONVENTIONS = ("lanczos", "official")
BATCHNORMS = ("running", "batch")
COLUMNS = [
    "sample",
    "images",
    "l2",
    "rank",
    "eigenvalue",
    "negative",
    "positive",
    "positive_part",
    "residual",
    "products",
]


class HessianParameters(TrainingParameters):
    images: int | None = Field(default=1024, ge=1, description="as many mini-batches as they fill; none for one pass")
    batch_size: int = Field(default=16, ge=2)
    top: int = Field(default=5, ge=1, description="eigenvalues of each mini-batch, by magnitude")
    convention: Literal["lanczos", "official"] = "lanczos"
    batchnorm: Literal["running", "batch"] = Field(
        default="running", description="the statistics that it normalises with: those of training, or the mini-batch's"
    )
    augmentation: dict[str, bool | int | float | str] | Literal["own"] = Field(
        default="own", description="of the images: fields of another recipe than the network was trained with"
    )
    start_seed: int = Field(default=0, description="of the start vectors")

    later = frozenset({"start_seed", "batchnorm", "augmentation"})


KIND = ProbeKind(
    name="hessian",
    version=1,
    parameters=HessianParameters,
    keys=("l2", "rank"),
    values=("eigenvalue", "negative", "positive", "positive_part"),
    sample="mini-batch",
    counted=("rank",),
    told=("augment", "augmentation", "convention", "batchnorm"),
    split="train",
    l2=True,
    work=lambda parameters: 60.0,  # products with the Hessian, until five values are sharp
)


def hessian(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    *,
    top: int = 5,
    weight_decay: float = 5e-2,
    convention: str = "lanczos",
    batchnorm: str = "running",
    tolerance: float = 1e-3,
    starts: int = 1,
    basis: int = 40,
    limit: int = 500,
    at_once: int | None = None,
    start_seed: int = 0,
) -> pd.DataFrame:
    """The eigenvalues of largest magnitude of each mini-batch's loss Hessian, without and with l2.

    The loss is what is trained on, NLL + l2, in evaluation mode, over all trainable parameters w:

        L(w) = mean over images of cross-entropy with the soft targets  +  weight_decay / 2 · ||w||²

    whose l2 term has the gradient weight_decay · w of classical weight decay (for AdamW, which decays outside of the
    loss, it is the same up to the learning rate). Its Hessian is weight_decay · I exactly, so it is added to the
    eigenvalues and never multiplied; it also decides which are the largest in magnitude. The paper does not spell out
    its l2: without the 1/2 it would be twice this shift, of 0.05 against eigenvalues of tens to hundreds.

    "lanczos": converged eigenvalues. Started from the gradient plus a random vector as long; the gradient of a
    classifier lies mostly in the leading eigenspace (Gur-Ari, Roberts & Dyer 2018), the rest must not be missed.
    "official": power iteration with deflation on the Hessian of L, by PyHessian's rule, one mini-batch after another;
    with l2 only.

    With running statistics BatchNorm is a fixed linear map, and a mini-batch's Hessian that of independent images. In
    training it couples the images of a batch; `batchnorm="batch"` differentiates through that, exactly.

    Args:
        model: gives logits; left in evaluation mode.
        batches: (inputs [image, ...], targets [image, class], or labels [image]), on the model's device; the paper
            takes 16 augmented training images with their mixed and smoothed targets each.
        batchnorm: "running" statistics, as in evaluation and in the paper's code, or those of each mini-"batch", as in
            training; without BatchNorm there is no difference.
        tolerance: relative residual ("lanczos"), or relative change of the Rayleigh quotient ("official").
        starts: start vectors of Lanczos: an eigenvalue counts up to so many times.
        basis: vectors of n numbers kept for each mini-batch.
        limit: products a mini-batch may cost; beyond it a warning, and residuals above the tolerance in the table.
        at_once: mini-batches worked on together (Lanczos); none for 1 on a CPU, 16 on a GPU. 1 does for a model that
            `torch.func.vmap` cannot follow (of this suite's, CoaT).
        start_seed: of the start vectors.

    Returns:
        A row a mini-batch, loss and eigenvalue: sample (the mini-batch's number), images, l2 (whether the loss has the
        term; both, unless weight_decay is 0), rank (1 is the largest in magnitude; "official": in the order found),
        eigenvalue (nats per squared unit of the weights), negative and positive (0 or 1), positive_part (the eigenvalue
        or 0), residual (||H v - eigenvalue v|| / |eigenvalue|, v of unit length), products (spent on the mini-batch).
        `nep` and `ape` are computed from these, also from their averages.

    Raises:
        HarnessError: unknown convention or batchnorm, no images or images without targets, nothing trainable, or a loss
            without a finite gradient.
    """
    import pandas as pd
    import torch

    from harness.curvature.batchnorm import batch_statistics
    from harness.curvature.hvp import full_precision, hessian_products
    from harness.curvature.krylov import gaussian, norms
    from harness.curvature.lanczos import lanczos
    from harness.curvature.power import power_iteration
    from harness.curvature.together import together
    from harness.probes.common.images import labelled_batches

    if convention not in CONVENTIONS:
        raise HarnessError(f"convention={convention!r} is unknown; {nearest(convention, CONVENTIONS)}")
    if batchnorm not in BATCHNORMS:
        raise HarnessError(f"batchnorm={batchnorm!r} is unknown; {nearest(batchnorm, BATCHNORMS)}")
    official = convention == "official"
    model.eval()

    shifts = {True: weight_decay} if weight_decay else {False: 0.0}
    if weight_decay and not official:
        shifts = {False: 0.0, **shifts}

    def solve(inputs: Tensor, targets: Tensor, generators: list[torch.Generator]) -> list[list[Eigenpairs]]:
        product, gradients = hessian_products(model, inputs, targets)
        if official:
            found = power_iteration(product, gradients, generators[0], top=top, shift=weight_decay, tolerance=tolerance)
            return [[found]]
        random = torch.stack([gaussian(generators, gradients) for _ in range(starts)], dim=1)
        random[:, 0] = random[:, 0] / norms(random[:, 0]) + gradients / norms(gradients)
        return lanczos(
            product,
            random,
            generators,
            top=top,
            shifts=list(shifts.values()),
            tolerance=tolerance,
            basis=basis,
            limit=limit,
        )

    rows = []
    with full_precision(), batch_statistics(model) if batchnorm == "batch" else nullcontext():
        pairs, at_once = labelled_batches(batches), 1 if official else at_once
        for sample, images, answers in together(pairs, solve, at_once=at_once, seed=start_seed):
            for l2, found in zip(shifts, answers, strict=True):
                if not official and found.products >= limit and found.residuals.max() > tolerance:
                    warnings.warn(
                        f"mini-batch {sample}: after {limit} products the largest relative residual is still "
                        f"{found.residuals.max():.1e}",
                        stacklevel=2,
                    )
                for rank, (value, residual) in enumerate(zip(found.values, found.residuals, strict=True), 1):
                    signs = (float(value < 0), float(value > 0), max(float(value), 0.0))
                    rows.append((sample, images, l2, rank, float(value), *signs, float(residual), found.products))
    return pd.DataFrame(rows, columns=COLUMNS)
