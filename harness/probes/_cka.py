"""From HSIC to CKA; without torch, since the report and the claims need it too."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def cka(table: pd.DataFrame) -> pd.DataFrame:
    """Centred kernel alignment between all pairs of units: HSIC(a, b) / √(HSIC(a, a) · HSIC(b, b)).

    Args:
        table: of `similarity`, or an average of it over samples: columns unit, other, hsic, and images where there
            are several samples.

    Returns:
        A symmetric matrix by unit and other unit, from -1 to 1, and 1 on its diagonal; rows and columns of units
        whose own HSIC is 0 are 0.
    """
    import numpy as np

    sums = (table["hsic"] * table.get("images", 1)).groupby([table["unit"], table["other"]]).sum().unstack()
    size = np.sqrt(np.diag(sums))
    scale = np.outer(size, size)
    return sums.where(scale > 0, 0.0) / np.where(scale > 0, scale, 1.0)
