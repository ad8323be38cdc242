"""Spectral density and trace of a mini-batch's loss Hessian, by stochastic Lanczos quadrature.

For random unit vectors v_1 .. v_k in R^n and the tridiagonal matrices T that m steps of Lanczos give from each,

    p(λ) = 1/n Σ_i δ(λ - λ_i)  ≈  1/k Σ_l Σ_i τ²_li δ(λ - θ_li)

with θ_li the eigenvalues of T_l and τ_li the first components of its eigenvectors (Golub & Welsch 1969; Lin, Saad &
Yang, SIAM Review 2016; Ghorbani, Krishnan & Xiao, ICML 2019). For each vector the moments <v, H^d v> with d < 2m are
exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from harness.curvature.hvp import Product, full_precision, hessian_products
from harness.curvature.krylov import Array, begin, extend, gaussian, ritz
from harness.curvature.together import together

if TYPE_CHECKING:
    import pandas as pd


def quadrature(
    product: Product, like: Tensor, generators: list[torch.Generator], *, steps: int = 40, vectors: int = 1
) -> tuple[Array, Array]:
    """Nodes and weights of the spectral density of several symmetric matrices.

    Args:
        product: [matrix, n] -> [matrix, n].
        like: [matrix, n], gives size, type and device.
        steps: Lanczos steps from each random vector, at most n.
        vectors: random vectors a matrix.

    Returns:
        Nodes θ and weights τ²/k, both [matrix, vector · step]; the weights of a matrix sum to 1.
    """
    nodes, weights = [], []
    for _ in range(vectors):
        start = gaussian(generators, like)[:, None]
        space = begin(start, min(steps + 1, like.shape[1]), generators)
        while space.done < min(steps, like.shape[1]):
            extend(space, product)
        values, coordinates, _ = ritz(space)
        nodes.append(values)
        weights.append(coordinates[:, 0] ** 2 / vectors)
    return np.concatenate(nodes, axis=1), np.concatenate(weights, axis=1)


def density(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    *,
    weight_decay: float = 5e-2,
    steps: int = 40,
    vectors: int = 1,
    at_once: int | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """The whole Hessian spectrum of each mini-batch's loss, as the nodes and weights of a quadrature.

    Model, batches, loss, `weight_decay` and `at_once` as for `harness.curvature.hessian`.

    Returns:
        A row a mini-batch and node: sample, images, parameters (n, how many eigenvalues there are), eigenvalue (the
        node, nats per squared unit of the weights), weight (share of the n eigenvalues there; sums to 1).
    """
    import pandas as pd

    model.eval()
    parameters = sum(leaf.numel() for leaf in model.parameters() if leaf.requires_grad)

    def solve(inputs: Tensor, targets: Tensor, generators: list[torch.Generator]) -> list[tuple[Array, Array]]:
        product, gradients = hessian_products(model, inputs, targets)
        found = quadrature(product, gradients, generators, steps=steps, vectors=vectors)
        return list(zip(*found, strict=True))

    rows = []
    with full_precision():
        for sample, images, (nodes, weights) in together(batches, solve, at_once=at_once, seed=seed):
            for node, weight in zip(nodes, weights, strict=True):
                rows.append((sample, images, parameters, float(node) + weight_decay, float(weight)))
    return pd.DataFrame(rows, columns=["sample", "images", "parameters", "eigenvalue", "weight"])


def trace(nodes: Sequence[float] | Array, weights: Sequence[float] | Array, parameters: int) -> float:
    """The trace of one Hessian from its quadrature: n Σ τ² θ, nats per squared unit of the weights.

    A first moment of the quadrature is exact, so this is n/k Σ_l <v_l, H v_l> to rounding: Hutchinson's estimator
    (Commun. Stat. 1990) over the same k random unit vectors. Unbiased; its standard deviation for one vector is about
    sqrt(2) times the Frobenius norm of H.
    """
    return parameters * float(np.dot(nodes, weights))


def smooth(
    nodes: Sequence[float] | Array, weights: Sequence[float] | Array, grid: Sequence[float] | Array, width: float
) -> Array:
    """The density on a grid, each node broadened to a Gaussian.

    Args:
        width: the Gaussian's standard deviation, in the unit of the eigenvalues.

    Returns:
        [grid], per unit of eigenvalue; it integrates to the sum of the weights.
    """
    distance = (np.asarray(grid)[:, None] - np.asarray(nodes)) / width
    return np.exp(-(distance**2) / 2) @ np.asarray(weights) / (width * np.sqrt(2 * np.pi))
