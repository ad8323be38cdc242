"""How good predictions of corrupted images are, of tables of the probe `corruption`: of one network, all its groups.

The probe keeps means over images that any metric is made of again, whichever images are then taken together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.readings import predictions

if TYPE_CHECKING:
    import pandas as pd

KIND = ["corruption", "group", "severity"]
GAPS = tuple(f"gap_{number}" for number in range(predictions.BINS))
# Means over images. That of gap_b is of confidence minus correctness in bin b of confidences, and of 0 in others.
MEANS = ("correct", "top5", "nll", "brier", "confident", "confident_correct", *GAPS)
WHOLE = ("iou", "iou90")  # no means over images: of all images of a corruption and severity, the same in each group


def means_of_images(table: pd.DataFrame) -> pd.DataFrame:
    """The columns of `MEANS` of each image, of a table of the probe `prediction`."""
    import numpy as np
    import pandas as pd

    correct, confidence = table["correct"].to_numpy(float), table["confidence"].to_numpy(float)
    sure = predictions.confident(table, predictions.CUTOFF).astype(float)
    top5 = (table["rank"].to_numpy() < 5).astype(float)
    inside = predictions.bins_of(confidence)[:, None] == np.arange(predictions.BINS)
    columns = [correct, top5, table["nll"], table["brier"], sure, sure * correct, *(inside.T * (confidence - correct))]
    return pd.DataFrame(dict(zip(MEANS, columns, strict=True)))


def by_corruption(table: pd.DataFrame) -> pd.DataFrame:
    """All metrics of each corruption and severity.

    Args:
        table: of the probe `corruption`, averaged over image groups or with each of them.

    Returns:
        A row a corruption and severity, indexed by corruption, group (of the corruption), severity: accuracy, top5, nll
        (nats), brier, ece, signed_ece, acc90, unc90, freq90, iou, iou90, as `harness.readings.scores` has them.
    """
    import pandas as pd

    means = by_images(table, [*MEANS, *WHOLE])
    wrong, gaps = 1 - means["correct"], means[list(GAPS)]
    found = {
        "accuracy": means["correct"],
        "top5": means["top5"],
        "nll": means["nll"],
        "brier": means["brier"],
        "ece": gaps.abs().sum(axis=1),
        "signed_ece": gaps.sum(axis=1),
        "acc90": means["confident_correct"] / means["confident"],
        "unc90": 1 - (means["confident"] - means["confident_correct"]) / wrong,
        "freq90": means["confident"],
        "iou": means["iou"],
        "iou90": means["iou90"].where(means["confident"] > 0),
    }
    return pd.DataFrame(found)


def by_group(table: pd.DataFrame) -> pd.DataFrame:
    """All metrics, the mean over the corruptions and severities of each group, and of all alike.

    Args:
        table: as for `by_corruption`.

    Returns:
        A row a group ("noise", "blur", "weather", "digital", ...), the last one "all"; columns as of `by_corruption`. A
        metric that a corruption does not have (Acc-90 where nothing is confident) is left out of the mean.
    """
    import pandas as pd

    kinds = by_corruption(table)
    groups = kinds.groupby("group", sort=False).mean()
    return pd.concat([groups, kinds.mean().to_frame("all").T]).rename_axis("group")


def robustness(table: pd.DataFrame) -> float:
    """Accuracy on corrupted images, the mean over all corruptions and severities alike, 0 to 1 (Figs 12b, E.1).

    Args:
        table: as for `by_corruption`.
    """
    return float(by_images(table, ["correct"], ["corruption", "severity"])["correct"].mean())


def by_images(table: pd.DataFrame, columns: Sequence[str], kind: Sequence[str] = KIND) -> pd.DataFrame:
    """Means over the images of a corruption and severity."""
    images = table["images"] if "images" in table else 1 + 0 * table["correct"]
    keys = [table[key] for key in kind]
    sums = table[list(columns)].mul(images, axis=0).groupby(keys, sort=False).sum(min_count=1)
    return sums.div(images.groupby(keys, sort=False).sum(), axis=0)
