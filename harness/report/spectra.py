"""APE and NEP of each role over the seeds, from a table of the probe `hessian`."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from harness.readings import ape, nep

NUMERIC = ("seed", "sample", "l2", "rank", "eigenvalue", "negative", "positive", "positive_part")
TEXT = ("role", "model")


@dataclass(frozen=True)
class OverSeeds:
    """One number of one role: its mean over the seeds, and the lowest and the highest of them."""

    mean: float
    low: float
    high: float


def by_seed(table: pd.DataFrame, role: str, *, l2: bool) -> pd.DataFrame:
    """A row a seed: ape, nep (a share). Without rows where the table lacks the role or that loss."""
    mine = table[(table["role"] == role) & (table["l2"] == l2)]
    rows = [(seed, ape(rows, l2=l2), nep(rows, l2=l2)) for seed, rows in mine.groupby("seed")]
    return pd.DataFrame(rows, columns=["seed", "ape", "nep"])


def mean_ape(table: pd.DataFrame, role: str, *, l2: bool) -> OverSeeds:
    """The geometric mean, since networks are compared by ratios: log APE is what the rules average.

    Nan where one seed has no positive eigenvalue.
    """
    values = by_seed(table, role, l2=l2)["ape"].to_numpy()
    if not len(values):
        return OverSeeds(math.nan, math.nan, math.nan)
    return OverSeeds(float(np.exp(np.log(values).mean())), float(values.min()), float(values.max()))


def mean_nep(table: pd.DataFrame, role: str, *, l2: bool) -> OverSeeds:
    """The mean, as a share."""
    values = by_seed(table, role, l2=l2)["nep"].to_numpy()
    if not len(values):
        return OverSeeds(math.nan, math.nan, math.nan)
    return OverSeeds(float(values.mean()), float(values.min()), float(values.max()))
