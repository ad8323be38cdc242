"""The eigenvalues of largest magnitude by thick-restart Lanczos, of several symmetric matrices at once."""

from __future__ import annotations

from dataclasses import dataclass

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


def settled(values: Array, residuals: Array, order: Array, top: int, tolerance: float, precision: float) -> bool:
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
    shift: float = 0.0,
    tolerance: float = 1e-3,
    basis: int = 40,
    limit: int = 500,
) -> list[Eigenpairs]:
    """The `top` eigenvalues of largest magnitude of A + shift I, for each matrix A.

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
        shift: moves the eigenvalues and what is large among them; the Krylov spaces are those of A.
        basis: vectors kept a matrix; when they are there, the better half of the Ritz vectors goes on.
        limit: products a matrix; what has been reached by then is returned, with residuals that say so.
    """
    size, matrices = starts.shape[2], len(starts)
    top, precision = min(top, size), torch.finfo(starts.dtype).eps
    room = min(max(basis, 2 * top + starts.shape[1] + 2), size)
    space = begin(starts[:, :room], room, generators)
    answers: list[Eigenpairs | None] = [None] * matrices
    spent = 0
    while any(answer is None for answer in answers):
        extend(space, product)
        spent += 1
        if space.done < top:
            continue
        values, coordinates, residuals = ritz(space)
        order = np.argsort(-np.abs(values + shift), axis=1, kind="stable")
        for index, answer in enumerate(answers):
            if answer is not None:
                continue
            moved, best = values[index] + shift, order[index, :top]
            last = space.complete or spent >= limit
            if last or settled(moved, residuals[index], order[index], top, tolerance, precision):
                magnitude = np.maximum(np.abs(moved[best]), np.finfo(np.float64).tiny)
                vectors = combine(space, index, coordinates[index][:, best])
                answers[index] = Eigenpairs(moved[best], residuals[index, best] / magnitude, vectors, spent)
        if space.filled == room < size:
            kept = order[:, : (room + top) // 2]
            compress(
                space,
                np.take_along_axis(values, kept, axis=1),
                np.take_along_axis(coordinates, kept[:, None, :], axis=2),
            )
    return [answer for answer in answers if answer is not None]
