"""Second derivatives of the training loss: leading eigenvalues, spectral density and trace of its Hessian."""

from __future__ import annotations

from harness.curvature.density import density as density
from harness.curvature.density import smooth as smooth
from harness.curvature.density import trace as trace
from harness.curvature.spectrum import ape as ape
from harness.curvature.spectrum import hessian as hessian
from harness.curvature.spectrum import nep as nep

__all__ = ["ape", "density", "hessian", "nep", "smooth", "trace"]
