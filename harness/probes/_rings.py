"""What a claim reads off a landscape; without torch, since the report and the claims need it too."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

TERMS = {"nll": [], "nll_and_l2": ["l2"], "nll_and_l2_norms": ["l2_norms"]}


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

    radius = table[["x", "y"]].abs().max(axis=1).rename("r")
    losses = pd.DataFrame({name: table[["nll", *more]].sum(axis=1, skipna=False) for name, more in TERMS.items()})
    rises = losses - losses[radius == 0].mean()
    finite = np.isfinite(rises).all(axis=1)
    means = rises.where(finite).groupby(radius).mean()
    counts = pd.DataFrame({"cells": finite, "left_out": ~finite}).groupby(radius).sum().astype(int)
    return means.join(counts).drop(index=0.0)
