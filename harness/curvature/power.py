"""Power iteration with deflation, the way the paper's Hessian eigenvalues were measured (section 2, A.2)."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from harness.curvature.hvp import Product
from harness.curvature.krylov import gaussian, norms
from harness.curvature.lanczos import Eigenpairs


def power_iteration(
    product: Product,
    like: Tensor,
    generator: torch.Generator,
    *,
    top: int = 5,
    shift: float = 0.0,
    tolerance: float = 1e-3,
    iterations: int = 100,
) -> Eigenpairs:
    """One eigenvalue of A + shift I after another, by PyHessian's rule (Yao et al., IEEE Big Data 2020).

    A random Gaussian start; in each iteration v is orthogonalised against the vectors found so far and scaled to unit
    length, q = <v, A v> is taken down, and A v becomes the next v. It ends when q has changed by less than `tolerance`
    of itself, or after `iterations`.

    What comes out need not be an eigenvalue. For two eigenvalues a and -b of nearly the same magnitude v turns in their
    plane: with shares c² and 1 - c² of its length, q = c² a - (1 - c²) b, anywhere between the two, and v, which is no
    eigenvector, is what the rest is deflated by (A v, as it stood at the end). `residuals` tell.

    Args:
        product: [1, n] -> [1, n].
        like: [1, n], gives size, type and device.

    Returns:
        In the order found, with the residual of the last q and its v; `vectors` are what was deflated by.
    """
    found: list[Tensor] = []
    values, residuals, products = [], [], 0
    for _ in range(min(top, like.shape[1])):
        vector, value = gaussian([generator], like), math.inf
        for _ in range(iterations):
            for other in found:
                vector = vector - (other @ vector.T) * other
            vector = vector / norms(vector)
            image = product(vector) + shift * vector
            products += 1
            before, value = value, float(vector @ image.T)
            residual = float((image - value * vector).norm())
            vector = image / norms(image)
            if abs(before - value) < tolerance * abs(before) < math.inf:
                break
        values.append(value)
        residuals.append(residual / max(abs(value), np.finfo(np.float64).tiny))
        found.append(vector)
    return Eigenpairs(np.array(values, dtype=np.float64), np.array(residuals), torch.cat(found), products)
