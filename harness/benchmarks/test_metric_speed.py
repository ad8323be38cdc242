"""What all metrics of 10,000 predictions cost, beside torchmetrics where it is installed.

Nothing here is asserted. Set OMP_NUM_THREADS for the number of cores.
"""

from __future__ import annotations

import pytest
import torch

from harness.metrics import metrics

IMAGES = 10_000


def ours(logits, labels):
    return metrics(logits, labels)


def torchmetrics(logits, labels):
    """Those of them that it has: accuracy, top-5, ECE and IoU, with NLL and Brier score by torch."""
    library = pytest.importorskip("torchmetrics.functional.classification", reason="the other side of the comparison")
    classes = logits.shape[1]
    about = {"num_classes": classes, "validate_args": False}
    log_p = logits.log_softmax(1)
    p = log_p.exp()
    return {
        "accuracy": library.multiclass_accuracy(p, labels, average="micro", **about),
        "top5": library.multiclass_accuracy(p, labels, average="micro", top_k=5, **about),
        "ece": library.multiclass_calibration_error(p, labels, n_bins=10, **about),
        "iou": library.multiclass_jaccard_index(p, labels, **about),
        "nll": torch.nn.functional.nll_loss(log_p, labels),
        "brier": (p - torch.nn.functional.one_hot(labels, classes)).square().sum(1).mean(),
    }


@pytest.mark.parametrize("classes", [10, 100, 1000])
@pytest.mark.parametrize("measure", [ours, torchmetrics], ids=lambda measure: measure.__name__)
def test_all_metrics(benchmark, measure, classes):
    benchmark.group = f"all metrics of {IMAGES:,} predictions of {classes} classes"
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(IMAGES, classes, generator=generator)
    labels = torch.randint(classes, (IMAGES,), generator=generator)
    benchmark.pedantic(measure, (logits, labels), rounds=9, warmup_rounds=2)
