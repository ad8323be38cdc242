"""What a claim reads off a landscape; without torch, since the report and the claims need it too."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def rings(table: pd.DataFrame) -> pd.DataFrame:
    """Mean rise of the loss over the centre on the square rings max(|x|, |y|) = r (claim L1, Fig 1a).

    Args:
        table: of `landscape`, of one network: all its planes, or their average.

    Returns:
        Indexed by r, rising, a row a ring: nll, nll_and_l2 (with the l2 term of weight decay), nll_and_l2_norms (with
        the term that the paper plots), each in nats; cells (averaged), left_out (cells that are not finite).
    """
    import numpy as np
    import pandas as pd

    x, y, nll, l2, l2_norms = (table[name].to_numpy(float) for name in ("x", "y", "nll", "l2", "l2_norms"))
    radii, ring = np.unique(np.maximum(abs(x), abs(y)), return_inverse=True)
    with np.errstate(invalid="ignore"):  # infinite losses, rings without a finite one
        losses = {"nll": nll, "nll_and_l2": nll + l2, "nll_and_l2_norms": nll + l2_norms}
        rises = {name: loss - loss[ring == 0].mean() for name, loss in losses.items()}
        finite = np.all([np.isfinite(rise) for rise in rises.values()], axis=0)
        cells, left_out = (np.bincount(ring, which, len(radii)).astype(int) for which in (finite, ~finite))
        means = {name: np.bincount(ring, np.where(finite, rise, 0), len(radii)) / cells for name, rise in rises.items()}
    found = pd.DataFrame({**means, "cells": cells, "left_out": left_out}, index=pd.Index(radii, name="r"))
    return found.iloc[1:]  # the centre is no ring
