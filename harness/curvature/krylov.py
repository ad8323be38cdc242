"""An orthonormal basis that grows by multiplications with symmetric matrices, for several matrices in lockstep.

For each matrix A in R^{n x n}: vectors Q = [q_1 ... q_m], of which the first j have been multiplied, the rest is
pending, and coefficients C [m, j] with

    A [q_1 ... q_j] = Q C.

Every product is orthogonalised against the whole basis. With one start vector this is Lanczos' method with full
reorthogonalisation, with several its band version (Ruhe, Math. Comp. 1979); `compress` makes it the thick restart of
Wu & Simon (SIAM J. Matrix Anal. Appl. 2000). One relation serves all: the Ritz pairs are those of the symmetric part of
C's first j rows, and what the relation leaves over is their residual.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.curvature.hvp import Product

Array = np.ndarray[Any, np.dtype[np.float64]]
PIECE = 1 << 18


@dataclass
class Krylov:
    """Bases of several matrices.

    Attributes:
        basis: Q as rows, [matrix, room, n], of which `filled` are there; full when `filled` is the room.
        coefficients: C, float64 [matrix, room, room].
        done: how many rows have been multiplied.
        generators: one a matrix, on the CPU, so that a matrix meets the same vectors in any company and on any device.
    """

    basis: Tensor
    coefficients: Array
    filled: int
    done: int
    generators: list[torch.Generator]

    @property
    def complete(self) -> bool:
        """Whether the basis spans an invariant space: nothing is left to multiply."""
        return self.done == self.filled


def gaussian(generators: list[torch.Generator], like: Tensor) -> Tensor:
    """Standard normal vectors [matrix, n] of the type and on the device of `like` [matrix, ..., n]."""
    size = like.shape[-1]
    return torch.stack([torch.randn(size, generator=generator, dtype=like.dtype) for generator in generators]).to(
        like.device
    )


def norms(vectors: Tensor) -> Tensor:
    """Euclidean norms [matrix, 1] of vectors [matrix, n]; 0 becomes the smallest positive number."""
    return torch.linalg.vector_norm(vectors, dim=1, keepdim=True).clamp_min(torch.finfo(vectors.dtype).tiny)


def project_out(basis: Tensor, vectors: Tensor) -> Tensor:
    """Take the span of `basis` [matrix, m, n] out of `vectors` [matrix, n] in place; gives the coefficients [., m]."""
    found = torch.bmm(basis, vectors[:, :, None])
    vectors -= torch.bmm(basis.transpose(1, 2), found)[:, :, 0]
    return found[:, :, 0]


def fresh(basis: Tensor, generators: list[torch.Generator]) -> Tensor:
    """Random unit vectors [matrix, n], orthogonal to `basis`."""
    vectors = gaussian(generators, basis)
    for _ in range(2):
        project_out(basis, vectors)
        vectors /= norms(vectors)
    return vectors


def begin(starts: Tensor, room: int, generators: list[torch.Generator]) -> Krylov:
    """A basis of the start vectors [matrix, start, n], none of which needs to be of unit length or orthogonal."""
    matrices, count, size = starts.shape
    basis = starts.new_empty(matrices, room, size)
    for index in range(count):
        vectors = starts[:, index] / norms(starts[:, index])
        project_out(basis[:, :index], vectors)
        small = norms(vectors) < 1e-3
        if small.any():
            vectors = torch.where(small, fresh(basis[:, :index], generators), vectors)
        project_out(basis[:, :index], vectors)
        basis[:, index] = vectors / norms(vectors)
    return Krylov(basis, np.zeros((matrices, room, room)), count, 0, generators)


def extend(space: Krylov, product: Product) -> None:
    """Multiply the first pending vector and append what is new in the product.

    Where nothing is new the space is invariant; a random vector then leads on, which is how further copies of an
    eigenvalue are found. Once the basis is the whole space nothing is appended.
    """
    basis, column = space.basis[:, : space.filled], product(space.basis[:, space.done])
    # By symmetry only those before it that its own vector occurs in have a part in a product: two for a single start.
    parts = np.flatnonzero(space.coefficients[:, space.done, : space.done].any(axis=0))
    first = int(parts[0]) if len(parts) else space.done
    found = column.new_zeros(len(column), space.filled)
    found[:, first:] = project_out(basis[:, first:], column)
    # The pass over all is for rounding. What it misses grows by the factor by which the vector shrinks, from step to
    # step; twice is enough (Daniel et al., Math. Comp. 1976).
    for _ in range(2):
        length = norms(column)
        found += project_out(basis, column)
        if (norms(column) >= 0.7 * length).all():
            break
    space.coefficients[:, : space.filled, space.done] = found.double().cpu().numpy()
    if space.filled < basis.shape[2]:
        new = norms(column)
        scale = np.abs(space.coefficients).max(axis=(1, 2))
        threshold = 10 * torch.finfo(column.dtype).eps * torch.as_tensor(scale)[:, None].to(new)
        exhausted = new <= threshold.clamp_min(torch.finfo(column.dtype).tiny)
        column /= new
        if exhausted.any():
            column = torch.where(exhausted, fresh(basis, space.generators), column)
            new = torch.where(exhausted, torch.zeros_like(new), new)
        space.basis[:, space.filled] = column
        space.coefficients[:, space.filled, space.done] = new[:, 0].double().cpu().numpy()
        space.filled += 1
    space.done += 1


def ritz(space: Krylov) -> tuple[Array, Array, Array]:
    """Ritz values [matrix, j] in ascending order, their coordinates [matrix, j, value], and residuals [matrix, j].

    The residual is ||A u - value u|| for the Ritz vector u of unit length, in the unit of the matrix. It includes what
    rounding makes the products asymmetric by.
    """
    columns = space.coefficients[:, : space.filled, : space.done]
    square = columns[:, : space.done]
    values, coordinates = np.linalg.eigh((square + square.transpose(0, 2, 1)) / 2)
    rest = columns @ coordinates
    rest[:, : space.done] -= coordinates * values[:, None]
    return values, coordinates, np.linalg.norm(rest, axis=1)


def combine(space: Krylov, matrix: int, coordinates: Array) -> Tensor:
    """The vectors [p, n] of one of the matrices that have these coordinates [j, p]."""
    return torch.as_tensor(coordinates.T).to(space.basis) @ space.basis[matrix, : space.done]


def compress(space: Krylov, values: Array, coordinates: Array) -> None:
    """Replace what has been multiplied by some Ritz vectors [matrix, j, p], p < j; what is pending stays."""
    keep, done, filled = values.shape[1], space.done, space.filled
    weights = torch.as_tensor(coordinates.transpose(0, 2, 1)).to(space.basis)
    for piece in space.basis.split(PIECE, dim=2):  # views: in place, with no second basis beside it
        pending = piece[:, done:filled].clone()
        piece[:, :keep] = weights @ piece[:, :done]
        piece[:, keep : keep + filled - done] = pending
    coefficients = np.zeros_like(space.coefficients)
    coefficients[:, range(keep), range(keep)] = values
    coefficients[:, keep : keep + filled - done, :keep] = space.coefficients[:, done:filled, :done] @ coordinates
    space.coefficients, space.done, space.filled = coefficients, keep, keep + filled - done
