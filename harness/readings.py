"""What is read off a probe's table: NEP, APE, CKA, rings of a landscape, what noise costs, how good predictions are.

Without torch: for claims, the report, and whoever holds a table.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.errors import HarnessError, nearest

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


# --- predictions ------------------------------------------------------------------------------------------------------
# Of tables of the probe `prediction`, of one network, a row an image; `harness.metrics` makes such ones from logits.
# The authors' code (`ops/tests.py`) measures some of it otherwise: convention="official", less the 1e-7 it adds to
# counts.

BINS, CUTOFF = 10, 0.9
CONVENTIONS = ("usual", "official")
MEANS = ("confidence", "accuracy")


def robustness(table: pd.DataFrame) -> float:
    """Accuracy on corrupted images, the mean over all corruptions and severities alike, 0 to 1 (Figs 12b, E.1).

    Args:
        table: of the probe `corruption`, averaged over image groups or with each of them.
    """
    return float(table.groupby(["corruption", "severity"])["correct"].mean().mean())


def accuracy(table: pd.DataFrame) -> float:
    """Share of images whose largest logit is their label's, 0 to 1 (paper A.2); of several such, the first counts."""
    return float(column(table, "correct").mean())


def top_k(table: pd.DataFrame, k: int = 5) -> float:
    """Share of images of which fewer than k classes have a larger logit than their label, 0 to 1: ties count for it."""
    return float((column(table, "rank") < k).mean())


def nll(table: pd.DataFrame, *, convention: str = "usual", batch_size: int = 256) -> float:
    """Mean negative log-likelihood of the labels, in nats (paper A.2).

    Args:
        table: of `prediction`.
        convention: "official" for the mean over means of batches, the last of which may be smaller, of the logarithm of
            probabilities in single precision: infinite where one of them underflows.
        batch_size: of the official ones.
    """
    losses = column(table, "nll")
    if not is_official(convention):
        return float(losses.mean())
    import numpy as np

    with np.errstate(divide="ignore", under="ignore"):
        losses = -np.log(np.exp(-losses).astype(np.float32).astype(float))
    starts = range(0, len(losses), batch_size)
    return float(np.mean([losses[start : start + batch_size].mean() for start in starts]))


def brier(table: pd.DataFrame) -> float:
    """Mean Brier score, 0 to 2: the squared distance between probabilities and label, summed over classes."""
    return float(column(table, "brier").mean())


def reliability(
    table: pd.DataFrame, bins: int = BINS, *, per_class: bool = False, convention: str = "usual"
) -> pd.DataFrame:
    """Reliability diagram and confidence histogram (Fig F.1a): accuracy over confidence, and how many images are where.

    Args:
        table: of `prediction`.
        bins: of equal width; a confidence on the edge of two, in single precision as networks compute, belongs to the
            lower.
        per_class: apart for each class that is predicted.
        convention: "official" sums confidences over bins that contain their lower edge, and images over bins that
            contain their upper edge: a confidence of 1 is lost.

    Returns:
        A row a bin: bin (from 0), low and high (its edges), count (images in it), confidence (their mean), accuracy (0
        to 1), the last two nan where there are none; with `per_class` also the column predicted.

    Raises:
        HarnessError: no bins, or no such convention.
    """
    import numpy as np
    import pandas as pd

    if bins < 1:
        raise HarnessError(f"bins={bins}: expected at least 1")
    if per_class:
        classes = {name: reliability(rows, bins, convention=convention) for name, rows in table.groupby("predicted")}
        return pd.concat(classes, names=["predicted", None]).reset_index("predicted").reset_index(drop=True)
    correct, confidence = column(table, "correct"), column(table, "confidence")
    edges = np.arange(bins + 1) / bins
    single = edges.astype(np.float32), confidence.astype(np.float32)
    place = np.clip(np.searchsorted(*single) - 1, 0, bins - 1)
    summed = np.searchsorted(*single, side="right") - 1 if is_official(convention) else place
    count = np.bincount(place, minlength=bins)
    sums = np.bincount(summed, confidence, bins)[:bins], np.bincount(place, correct, bins)
    means = {name: total / np.where(count, count, np.nan) for name, total in zip(MEANS, sums, strict=True)}
    return pd.DataFrame({"bin": range(bins), "low": edges[:-1], "high": edges[1:], "count": count} | means)


def ece(table: pd.DataFrame, bins: int = BINS, *, convention: str = "usual") -> float:
    """Expected calibration error, 0 to 1: |accuracy - confidence| of each bin, weighted by its images."""
    gaps, weights = gaps_of(table, bins, convention)
    return float((abs(gaps) * weights).sum())


def signed_ece(table: pd.DataFrame, bins: int = BINS, *, convention: str = "usual") -> float:
    """Signed calibration error, -1 to 1: confidence above accuracy, so that over-confidence is positive (Fig F.1a).

    The gaps of the bins add up to mean confidence minus accuracy: an average over images is enough, and with the usual
    convention `bins` changes nothing.
    """
    gaps, weights = gaps_of(table, bins, convention)
    return float((gaps * weights).sum())


def gaps_of(table: pd.DataFrame, bins: int, convention: str) -> tuple[np.ndarray, np.ndarray]:
    """Confidence minus accuracy of each bin that has images, and its share of all of them.

    Raises:
        HarnessError: no images.
    """
    if table.empty:
        raise HarnessError("a table without images has no calibration error")
    found = reliability(table, bins, convention=convention)
    found = found[found["count"] > 0]
    gaps, counts = found["confidence"] - found["accuracy"], found["count"].to_numpy(float)
    return gaps.to_numpy(), counts / counts.sum()


def acc90(table: pd.DataFrame, cutoff: float = CUTOFF, *, convention: str = "usual") -> float:
    """Acc-90, 0 to 1: accuracy among images with a confidence above the cut-off; nan without any, officially 0."""
    return share_of(column(table, "correct")[confident(table, cutoff)], convention)


def unc90(table: pd.DataFrame, cutoff: float = CUTOFF, *, convention: str = "usual") -> float:
    """Unc-90, 0 to 1: how many of the wrong predictions are not confident; nan without any, officially 0."""
    return share_of(~confident(table, cutoff)[column(table, "correct") == 0], convention)


def freq90(table: pd.DataFrame, cutoff: float = CUTOFF) -> float:
    """Freq-90, 0 to 1: how many images have a confidence above the cut-off."""
    return float(confident(table, cutoff).mean())


def iou(table: pd.DataFrame, *, convention: str = "usual") -> float:
    """Intersection over union of the images with a label and those for which it is predicted, 0 to 1.

    The mean over classes that occur among labels or predictions, officially among labels; nan without images,
    officially 0.
    """
    import numpy as np

    label, predicted = (column(table, name).astype(int) for name in ("label", "predicted"))
    size = max(label.max(initial=0), predicted.max(initial=0)) + 1
    labels, found, both = (
        np.bincount(which, minlength=size) for which in (label, predicted, label[label == predicted])
    )
    union = labels + found - both
    occur = (labels if is_official(convention) else union) > 0
    return share_of(both[occur] / union[occur], convention)


def iou90(table: pd.DataFrame, cutoff: float = CUTOFF, *, convention: str = "usual") -> float:
    """IoU-90: `iou` of the images with a confidence above the cut-off."""
    return iou(table[confident(table, cutoff)], convention=convention)


def scores(
    table: pd.DataFrame, *, bins: int = BINS, cutoff: float = CUTOFF, convention: str = "usual"
) -> dict[str, float]:
    """All of them: accuracy, top5, nll, brier, ece, signed_ece, acc90, unc90, freq90, iou, iou90.

    Args:
        table: of `prediction`.
        bins: of the calibration errors.
        cutoff: of the confident ones; its per cent stand in the names.
        convention: "usual", or "official" as the authors' code measures.
    """
    percent = f"{100 * cutoff:g}"
    return {
        "accuracy": accuracy(table),
        "top5": top_k(table),
        "nll": nll(table, convention=convention),
        "brier": brier(table),
        "ece": ece(table, bins, convention=convention),
        "signed_ece": signed_ece(table, bins, convention=convention),
        f"acc{percent}": acc90(table, cutoff, convention=convention),
        f"unc{percent}": unc90(table, cutoff, convention=convention),
        f"freq{percent}": freq90(table, cutoff),
        "iou": iou(table, convention=convention),
        f"iou{percent}": iou90(table, cutoff, convention=convention),
    }


def confident(table: pd.DataFrame, cutoff: float) -> np.ndarray:
    """Which images have a confidence above the cut-off, in single precision; a confidence of nan is none."""
    import numpy as np

    return column(table, "confidence").astype(np.float32) > np.float32(cutoff)


def share_of(hits: np.ndarray, convention: str) -> float:
    """The mean of what may be empty, and is nan then; officially 0."""
    return float(hits.mean()) if len(hits) else (0.0 if is_official(convention) else math.nan)


def is_official(convention: str) -> bool:
    """Whether to measure as the authors' code does.

    Raises:
        HarnessError: no such convention.
    """
    if convention not in CONVENTIONS:
        raise HarnessError(f"convention={convention!r} is unknown; {nearest(convention, CONVENTIONS)}")
    return convention == "official"


def column(table: pd.DataFrame, name: str) -> np.ndarray:
    """A column of a table of predictions.

    Raises:
        HarnessError: it is of a version of the probe that did not give it yet.
    """
    if name not in table:
        raise HarnessError(
            f"the table has no column {name}; it is of an earlier version of `prediction`: measure again"
        )
    return table[name].to_numpy()
