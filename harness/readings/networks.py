"""NEP, APE, CKA, rings of a landscape, what noise costs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

NOISE_LOSS = 5.0  # percentage points at the lowest frequency, as ResNet loses in Fig 2b


class Share(float):
    """A share of so many, and therefore known to 1/of: three networks that agree are no certainty."""

    of: int

    def __new__(cls, hits: pd.Series | np.ndarray) -> Share:
        """Of true values among all."""
        share = super().__new__(cls, hits.mean())
        share.of = len(hits)
        return share


def nep(spectrum: pd.DataFrame, *, l2: bool = True) -> float:
    """Negative eigenvalue proportion: the fraction of the values below zero, 0 to 1 (paper A.1).

    Args:
        spectrum: a table of the probe `hessian`, or its average over mini-batches.
        l2: of NLL + l2, or of NLL alone.
    """
    return float(spectrum[spectrum.l2 == l2].negative.mean())


def log_nep(spectrum: pd.DataFrame, *, l2: bool = True) -> float:
    """Log of the negative eigenvalue proportion, so that a difference of two is a log ratio.

    Half a count is added to the negatives and to the total (Haldane 1956, Anscombe 1956): also a spectrum without a
    single negative value has one, and one that hangs on how many values were looked at.

    Args:
        spectrum: as for `nep`; an average says in `samples` how many mini-batches it is of.
        l2: of NLL + l2, or of NLL alone.
    """
    negatives, values = counts(spectrum, l2=l2)
    return math.log((negatives + 0.5) / (values + 0.5))


def variance_of_log_nep(spectrum: pd.DataFrame, *, l2: bool = True) -> float:
    """The least that `log_nep` varies by from one draw of mini-batches to another: as if its values were independent.

    Those of one mini-batch are alike, so that a jackknife over mini-batches finds more, except where the negatives are
    too few for it: of none at all it finds that nothing varies.
    """
    negatives, values = counts(spectrum, l2=l2)
    return 1 / (negatives + 0.5) - 1 / (values + 0.5)


def counts(spectrum: pd.DataFrame, *, l2: bool = True) -> tuple[float, float]:
    """Negative values, and all of them."""
    chosen = spectrum[spectrum.l2 == l2]
    samples = chosen.get("samples", chosen.negative * 0 + 1)
    return float((chosen.negative * samples).sum()), float(samples.sum())


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


def calibrated(table: pd.DataFrame) -> float:
    """The amplitude at which the network loses nearest to 5 pp at the lowest frequency.

    Args:
        table: of `noise`, or an average of it over samples: columns frequency, amplitude, delta_accuracy, and images
            where there are several samples.
    """
    lowest = table[table["frequency"] == table["frequency"].min()]
    images = lowest["images"] if "images" in lowest else lowest["frequency"] * 0 + 1
    sums = (lowest["delta_accuracy"] * images).groupby(lowest["amplitude"]).sum()
    loss = -sums / images.groupby(lowest["amplitude"]).sum()
    return float((loss - NOISE_LOSS).abs().idxmin())


def noise_losses(table: pd.DataFrame) -> pd.DataFrame:
    """Accuracy lost to noise, as a share of the accuracy without it: a row an amplitude, a column a frequency.

    Networks of 96 and of 66 % cannot lose alike in percentage points.

    Args:
        table: as for `calibrated`, with the column accuracy; the first row is no noise, which costs nothing.
    """
    import pandas as pd

    clean = (table["accuracy"] - table["delta_accuracy"]).mean()
    losses = (-table["delta_accuracy"] / clean).groupby([table["amplitude"], table["frequency"]]).mean().unstack()
    return pd.concat([pd.DataFrame(0.0, index=[0.0], columns=losses.columns), losses])


def amplitude_of_loss(table: pd.DataFrame, loss: float = NOISE_LOSS) -> float:
    """The least amplitude at which the network loses so many pp at the lowest frequency, linear between those measured.

    Nan where none of them costs as much.

    Args:
        table: of `noise`, averaged over samples.
    """
    lowest = table[table["frequency"] == table["frequency"].min()]
    amplitudes, losses = [0.0], [0.0]
    for amplitude, changes in lowest.groupby("amplitude")["delta_accuracy"]:
        amplitudes.append(float(amplitude))
        losses.append(-float(changes.mean()))
        if losses[-1] >= loss:
            share = (loss - losses[-2]) / (losses[-1] - losses[-2])
            return amplitudes[-2] + share * (amplitudes[-1] - amplitudes[-2])
    return math.nan
