"""What is read off a probe's table: NEP, APE, CKA, rings of a landscape, what noise costs, how good predictions are.

Without torch: for claims, the report, and whoever holds a table.
"""

from harness.readings.corrupted import by_corruption, by_group, robustness
from harness.readings.networks import (
    Share,
    amplitude_of_loss,
    ape,
    calibrated,
    cka,
    log_nep,
    nep,
    noise_losses,
    rings,
    variance_of_log_nep,
)
from harness.readings.predictions import (
    acc90,
    accuracy,
    brier,
    ece,
    freq90,
    iou,
    iou90,
    nll,
    reliability,
    scores,
    signed_ece,
    top_k,
    unc90,
)

__all__ = [
    "Share",
    "acc90",
    "accuracy",
    "amplitude_of_loss",
    "ape",
    "brier",
    "by_corruption",
    "by_group",
    "calibrated",
    "cka",
    "ece",
    "freq90",
    "iou",
    "iou90",
    "log_nep",
    "nep",
    "nll",
    "noise_losses",
    "reliability",
    "rings",
    "robustness",
    "scores",
    "signed_ece",
    "top_k",
    "unc90",
    "variance_of_log_nep",
]
