"""Second derivatives of the training loss: exact products with its Hessian, leading eigenvalues, density and trace.

The probe of the leading eigenvalues is `harness.probes.hessian`.
"""

from __future__ import annotations

from harness.curvature.density import density as density
from harness.curvature.density import smooth as smooth
from harness.curvature.density import trace as trace

__all__ = ["density", "smooth", "trace"]
