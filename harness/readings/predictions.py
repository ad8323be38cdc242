"""How good predictions are: accuracy, likelihood, calibration, and what is sure of itself.

Of tables of the probe `prediction`, of one network, a row an image; `harness.metrics` makes such ones from logits. The
authors' code (`ops/tests.py`) measures some of it otherwise: convention="official", less the 1e-7 it adds to counts.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from harness.errors import HarnessError, nearest

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

BINS, CUTOFF = 10, 0.9
CONVENTIONS = ("usual", "official")
MEANS = ("confidence", "accuracy")


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
    edges, place = np.arange(bins + 1) / bins, bins_of(confidence, bins)
    summed = bins_of(confidence, bins, side="right") if is_official(convention) else place
    count = np.bincount(place, minlength=bins)
    sums = np.bincount(summed, confidence, bins)[:bins], np.bincount(place, correct, bins)
    means = {name: total / np.where(count, count, np.nan) for name, total in zip(MEANS, sums, strict=True)}
    return pd.DataFrame({"bin": range(bins), "low": edges[:-1], "high": edges[1:], "count": count} | means)


def bins_of(confidence: np.ndarray, bins: int = BINS, side: Literal["left", "right"] = "left") -> np.ndarray:
    """Which bin of equal width each confidence is in, in single precision.

    Args:
        confidence: [image], 0 to 1.
        bins: how many.
        side: "left" if one on the edge of two belongs to the lower (0 to the lowest); "right" if to the upper, so that
            1 is in bin number `bins`.
    """
    import numpy as np

    edges = (np.arange(bins + 1) / bins).astype(np.float32)
    place = np.searchsorted(edges, confidence.astype(np.float32), side=side) - 1
    return place if side == "right" else place.clip(0, bins - 1)


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
