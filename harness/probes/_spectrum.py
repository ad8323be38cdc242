"""What the paper reads off a spectrum of Hessian eigenvalues; light, for the claims and the report."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def nep(spectrum: pd.DataFrame, *, l2: bool = True) -> float:
    """Negative eigenvalue proportion: the fraction of the values below zero, 0 to 1 (paper A.1).

    Args:
        spectrum: a table of the probe `hessian`, or its average over mini-batches.
        l2: of NLL + l2, or of NLL alone.
    """
    return float(spectrum[spectrum.l2 == l2].negative.mean())


def ape(spectrum: pd.DataFrame, *, l2: bool = True) -> float:
    """Average positive eigenvalue: the mean of the values above zero (paper A.1).

    Nan where no value is positive: such a spectrum has no positive part whose mean could be small or large.

    Args:
        spectrum: as for `nep`.
        l2: of NLL + l2, or of NLL alone.
    """
    chosen = spectrum[spectrum.l2 == l2]
    count = chosen.positive.sum()
    return float(chosen.positive_part.sum() / count) if count else math.nan
