"""The eigenvalues of largest magnitude by thick-restart Lanczos, of several symmetric matrices at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product as pairs

import numpy as np
import torch
from torch import Tensor

from harness.curvature.hvp import Product
from harness.curvature.krylov import Array, begin, combine, compress, extend, ritz


@dataclass(frozen=True)
class Eigenpairs:
    """What was found of one matrix.

    Attributes:
        values: float64 [pair].
        residuals: ||A u - value u|| / |value| for each unit vector u.
        vectors: [pair, n], orthonormal.
        products: matrix-vector products spent.
    """

    values: Array
    residuals: Array
    vectors: Tensor
    products: int


def settled(values: Array, residuals: Array, order: np.ndarray, top: int, tolerance: float, precision: float) -> bool:
    """Whether the first `top` of `order` have converged and nothing else can still take their place."""
    magnitude = np.abs(values)
    sharp = residuals <= np.maximum(tolerance * magnitude, 10 * precision * magnitude.max())
    best, rest = order[:top], order[top:]
    below = magnitude[rest] + residuals[rest] <= magnitude[best[-1]]
    return bool(sharp[best].all() and (sharp[rest] | below).all())


def lanczos(
    product: Product,
    starts: Tensor,
    generators: list[torch.Generator],
    *,
    top: int = 5,
    shifts: Sequence[float] = (0.0,),
    tolerance: float = 1e-3,
    basis: int = 40,
    limit: int = 500,
) -> list[list[Eigenpairs]]:
    """The `top` eigenvalues of largest magnitude of A + shift I, for each matrix A and each shift.

    The Krylov spaces are those of A, so further shifts cost next to nothing.

    A matrix is done when all of its `top` Ritz pairs have a residual below `tolerance` times the eigenvalue (or, where
    that asks for more, at rounding: ten units in the last place of the largest), and no other could still grow into
    their place: it has converged too, or stays below the last of them even with its residual added. An eigenvalue that
    occurs several times counts as often as it occurs up to the number of start vectors, perhaps oftener: one vector
    meets an eigenspace in one direction only. Other matrices of the batch play no part in the answer: it is taken down
    when its own matrix is done.

    Args:
        product: [matrix, n] -> [matrix, n], multiplies each vector with its A (without the shift).
        starts: [matrix, start, n].
        generators: one a matrix, for vectors to go on with in an exhausted space.
        shifts: each moves the eigenvalues, and with them what is large among them.
        basis: vectors kept a matrix; when they are there, the better half of the Ritz vectors goes on.
        limit: products a matrix; what has been reached by then is returned, with residuals that say so.

    Returns:
        [matrix][shift].
    """
    size, matrices = starts.shape[2], len(starts)
    top, precision = min(top, size), torch.finfo(starts.dtype).eps
    room = min(max(basis, 2 * top + starts.shape[1] + 2), size)
    space = begin(starts[:, :room], room, generators)
    answers: dict[tuple[int, int], Eigenpairs] = {}
    spent = 0
    while len(answers) < matrices * len(shifts):
        extend(space, product)
        spent += 1
        if space.done < top:
            continue
        values, coordinates, residuals = ritz(space)
        last = space.complete or spent >= limit
        for index, number in pairs(range(matrices), range(len(shifts))):
            if (index, number) in answers:
                continue
            moved = values[index] + shifts[number]
            order = np.argsort(-np.abs(moved), kind="stable")
            if last or settled(moved, residuals[index], order, top, tolerance, precision):
                best = order[:top]
                magnitude = np.maximum(np.abs(moved[best]), np.finfo(np.float64).tiny)
                vectors = combine(space, index, coordinates[index][:, best])
                answers[index, number] = Eigenpairs(moved[best], residuals[index, best] / magnitude, vectors, spent)
        if space.filled == room < size:
            kept = np.argsort(-np.abs(values + np.mean(shifts)), axis=1, kind="stable")[:, : (room + top) // 2]
            compress(
                space,
                np.take_along_axis(values, kept, axis=1),
                np.take_along_axis(coordinates, kept[:, None, :], axis=2),
            )
    return [[answers[index, number] for number in range(len(shifts))] for index in range(matrices)]
