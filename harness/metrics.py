"""How good predictions are, from logits and labels: accuracy, likelihood, calibration, and what is sure of itself.

    from harness.metrics import metrics, reliability

    metrics(logits, labels)  # all at once
    reliability(logits, labels, bins=15)  # a table

Logits are [image, class], of any floating type and on any device; log-probabilities will do, so what `ensemble` and
`mc_dropout` give too (and a network with spatial smoothing, `create_model(..., smoothing=True)`, gives logits as any
other). Labels are classes [image], for `nll` and `brier` also soft ones [image, class]. Nothing depends on how images
are cut into batches. Logarithms are taken once, of logits: a probability that underflows has a finite logarithm.

What each image gives is computed here, on its device (`predictions`); what is read off that is `harness.readings`,
which the tables of the probe `prediction` share. `convention="official"` measures as the authors' code does where it
does otherwise (`ops/tests.py`; the paper's own metrics are accuracy, NLL and a reliability diagram: A.2, Fig F.1a).

HarnessError, in all: shapes that do not fit, labels that are no classes, no images, no such convention.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from harness.errors import HarnessError
from harness.readings import predictions as readings
from harness.readings.predictions import BINS, CUTOFF
from models.wrappers import drops_always

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("label", "predicted", "correct", "confidence", "rank", "nll", "brier")
WHOLE = ("label", "predicted")
PIECE = 2**18  # logits that a processor takes at once, so that they stay in its cache: twice as fast


# --- all at once ------------------------------------------------------------------------------------------------------


def metrics(
    logits: Tensor, labels: Tensor, *, bins: int = BINS, cutoff: float = CUTOFF, convention: str = "usual"
) -> dict[str, float]:
    """All of them by name: accuracy, top5, nll, brier, ece, signed_ece, acc90, unc90, freq90, iou, iou90.

    Of soft labels nll and brier.

    Args:
        logits: [image, class].
        labels: [image], or soft ones [image, class].
        bins: of the calibration errors.
        cutoff: of what is confident; its per cent stand in the names.
        convention: "usual" or "official".
    """
    if labels.ndim == 2:
        return {"nll": nll(logits, labels, convention=convention), "brier": brier(logits, labels)}
    return readings.scores(predictions(logits, labels), bins=bins, cutoff=cutoff, convention=convention)


def predictions(logits: Tensor, labels: Tensor) -> pd.DataFrame:
    """What a network says of each image.

    Returns:
        A row an image: label, predicted (the first of the largest logits), correct (0 or 1), confidence (the largest
        probability), rank (classes with a larger logit than the label), nll (nats), brier (0 to 2).
    """
    return as_table(per_image(logits, labels))


def per_image(logits: Tensor, labels: Tensor) -> Tensor:
    """The columns of `predictions` as float64 [image, column], on the device of the logits."""
    logits, labels = checked(logits, labels)
    if labels.ndim == 2:
        raise HarnessError("a class for each image is needed: soft labels have an NLL and a Brier score, and no more")
    size = len(logits) if logits.is_cuda else max(PIECE // logits.shape[1], 1)
    return torch.cat([of_piece(*pair) for pair in zip(logits.split(size), labels.split(size), strict=True)])


def of_piece(logits: Tensor, labels: Tensor) -> Tensor:
    own, largest = logits.gather(1, labels[:, None]), logits.amax(1, keepdim=True)
    # What is not above it is counted, so that a label is behind every logit that is nan.
    rank = logits.shape[1] - (logits <= own).float().sum(1)
    odds = (logits - largest).exp_()  # to the likeliest class: 1 over their sum is exactly 1 / 10 where ten are alike
    total = odds.sum(1, keepdim=True)
    nll = (total.log() - (own - largest))[:, 0]
    score = squared_distance(odds.div_(total), labels)
    predicted, confidence = logits.argmax(1), 1 / total[:, 0]
    columns = [labels, predicted, labels == predicted, confidence, rank, nll, score]
    return torch.stack([column.double() for column in columns], dim=1)


def squared_distance(p: Tensor, labels: Tensor) -> Tensor:
    """Of each image, between its probabilities, which are overwritten, and its label or soft label."""
    soft = labels.ndim == 2
    distance = p.sub_(labels) if soft else p.scatter_add_(1, labels[:, None], -torch.ones_like(p[:, :1]))
    return distance.square_().sum(1)


def cross_entropy(log_p: Tensor, targets: Tensor) -> Tensor:
    """Of each row, in nats; an impossible class costs nothing where the target has no share of it."""
    return -(targets * log_p).where(targets > 0, 0).sum(1)


def as_table(rows: Tensor) -> pd.DataFrame:
    """The columns of `per_image`, here and as they are called."""
    import pandas as pd

    return pd.DataFrame(rows.cpu().numpy(), columns=list(COLUMNS)).astype(dict.fromkeys(WHOLE, int))


# --- one by one: see `harness.readings` for each ----------------------------------------------------------------------


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Share of images whose largest logit is their label's, 0 to 1; of several such, the first counts."""
    return readings.accuracy(predictions(logits, labels))


def top_k(logits: Tensor, labels: Tensor, k: int = 5) -> float:
    """Share of images of which fewer than k classes have a larger logit than their label, 0 to 1: ties count for it."""
    return readings.top_k(predictions(logits, labels), k)


def nll(logits: Tensor, labels: Tensor, *, convention: str = "usual", batch_size: int = 256) -> float:
    """Mean negative log-likelihood in nats, of labels or soft labels; the official one, of classes only, in batches."""
    if labels.ndim == 2:
        if readings.is_official(convention):
            raise HarnessError("convention='official' is for a class for each image; found soft labels")
        return soft(logits, labels)[0]
    return readings.nll(predictions(logits, labels), convention=convention, batch_size=batch_size)


def brier(logits: Tensor, labels: Tensor) -> float:
    """Mean squared distance between probabilities and label, or soft label, summed over classes: 0 to 2."""
    return soft(logits, labels)[1] if labels.ndim == 2 else readings.brier(predictions(logits, labels))


def ece(logits: Tensor, labels: Tensor, bins: int = BINS, *, convention: str = "usual") -> float:
    """Expected calibration error over bins of equal width, 0 to 1."""
    return readings.ece(predictions(logits, labels), bins, convention=convention)


def signed_ece(logits: Tensor, labels: Tensor, bins: int = BINS, *, convention: str = "usual") -> float:
    """Signed calibration error, -1 to 1: positive where confidence lies above accuracy."""
    return readings.signed_ece(predictions(logits, labels), bins, convention=convention)


def acc90(logits: Tensor, labels: Tensor, cutoff: float = CUTOFF, *, convention: str = "usual") -> float:
    """Acc-90, 0 to 1: accuracy among images with a confidence above the cut-off; nan without any."""
    return readings.acc90(predictions(logits, labels), cutoff, convention=convention)


def unc90(logits: Tensor, labels: Tensor, cutoff: float = CUTOFF, *, convention: str = "usual") -> float:
    """Unc-90, 0 to 1: how many of the wrong predictions are not confident; nan without any."""
    return readings.unc90(predictions(logits, labels), cutoff, convention=convention)


def freq90(logits: Tensor, labels: Tensor, cutoff: float = CUTOFF) -> float:
    """Freq-90, 0 to 1: how many images have a confidence above the cut-off."""
    return readings.freq90(predictions(logits, labels), cutoff)


def iou(logits: Tensor, labels: Tensor, *, convention: str = "usual") -> float:
    """Intersection over union of labels and predictions, 0 to 1, the mean over classes that occur among them."""
    return readings.iou(predictions(logits, labels), convention=convention)


def iou90(logits: Tensor, labels: Tensor, cutoff: float = CUTOFF, *, convention: str = "usual") -> float:
    """IoU-90: `iou` of the images with a confidence above the cut-off."""
    return readings.iou90(predictions(logits, labels), cutoff, convention=convention)


def reliability(
    logits: Tensor, labels: Tensor, bins: int = BINS, *, per_class: bool = False, convention: str = "usual"
) -> pd.DataFrame:
    """Reliability diagram and confidence histogram: bin, low, high, count, confidence, accuracy (and predicted)."""
    return readings.reliability(predictions(logits, labels), bins, per_class=per_class, convention=convention)


# --- several predictions of one image ---------------------------------------------------------------------------------


@torch.no_grad()
def ensemble(members: Sequence[Tensor]) -> Tensor:
    """Logarithm of the mean probability of several predictions, of seeds or of passes with dropout.

    Args:
        members: of each, logits or log-probabilities [..., class], all of one shape.

    Returns:
        Log-probabilities of that shape. (The authors' ensemble leaves out the -log M, of which softmax sees nothing.)

    Raises:
        HarnessError: no members, or of different shapes.
    """
    shapes = {tuple(member.shape) for member in members}
    if len(shapes) != 1:
        found = " and ".join(map(str, sorted(shapes))) or "none"
        raise HarnessError(f"an ensemble is of members of one shape [..., class]; found {found}")
    together = torch.stack([in_full(member).log_softmax(-1) for member in members])
    return together.logsumexp(0) - math.log(len(members))


@torch.no_grad()
def mc_dropout(model: nn.Module, images: Tensor, *, passes: int, seed: int = 0) -> Tensor:
    """Predict several times with dropout, and nothing else, as in training (Gal & Ghahramani 2016).

    Active are the dropouts of `create_model(..., mc_dropout=rate)` and all modules of dropout, the heads' of VGG and
    AlexNet too, which the authors' code leaves out; neither stochastic depth nor BatchNorm. The network is left in
    evaluation mode.

    Args:
        model: gives logits [image, class].
        images: [image, channel, height, width], on the model's device.
        passes: how many.
        seed: of what is dropped, which also depends on which images are given together.

    Returns:
        Logarithm of the mean probability [image, class].

    Raises:
        HarnessError: no passes, or a network without dropout.
    """
    if passes < 1:
        raise HarnessError(f"passes={passes}: expected at least 1")
    dropouts = [module for module in model.modules() if isinstance(module, nn.modules.dropout._DropoutNd) and module.p]
    if not dropouts and not drops_always(model):
        raise HarnessError(f"{type(model).__name__} has no dropout; create_model(..., mc_dropout=0.3) gives it some")
    model.eval()
    with torch.random.fork_rng([images.device] if images.is_cuda else []):
        torch.manual_seed(seed)
        try:
            for module in dropouts:
                module.train()
            return ensemble([model(images) for _ in range(passes)])
        finally:
            model.eval()


# --- sequences of one image, corrupted more and more (CIFAR-10-P) -----------------------------------------------------


def consistency(logits: Tensor) -> float:
    """How often the prediction stays the same from one frame to the next, 0 to 1.

    Args:
        logits: [sequence, frame, class], at least two frames.
    """
    predicted = frames(logits).argmax(-1)
    return (predicted[:, 1:] == predicted[:, :-1]).double().mean().item()


def cross_entropy_consistency(logits: Tensor, *, convention: str = "usual") -> float:
    """Mean cross-entropy of each frame's prediction under that of the frame before it, in nats.

    Args:
        logits: [sequence, frame, class], at least two frames.
        convention: "official" for the mean over classes instead of the sum, as the authors' code has it.
    """
    log_p = frames(logits).log_softmax(-1)
    before, after = log_p[:, :-1].flatten(0, 1), log_p[:, 1:].flatten(0, 1).exp()
    value = cross_entropy(before, after).double().mean().item()
    return value / logits.shape[-1] if readings.is_official(convention) else value


# --- what is given ----------------------------------------------------------------------------------------------------


def soft(logits: Tensor, labels: Tensor) -> tuple[float, float]:
    """Mean NLL and Brier score of soft labels."""
    logits, labels = checked(logits, labels)
    log_p = logits.log_softmax(1)
    each = cross_entropy(log_p, labels), squared_distance(log_p.exp(), labels)
    nll, brier = (value.double().mean().item() for value in each)
    return nll, brier


def in_full(logits: Tensor) -> Tensor:
    """Single precision at least, and no gradients."""
    logits = logits.detach()
    return logits if logits.dtype == torch.float64 else logits.float()


def frames(logits: Tensor) -> Tensor:
    """Logits of sequences."""
    if logits.ndim != 3 or logits.shape[1] < 2 or not logits.numel():
        raise HarnessError(
            f"logits of sequences are [sequence, frame, class], 2 frames at least; found {shape(logits)}"
        )
    return in_full(logits)


def checked(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Logits [image, class] in full precision, and labels or soft labels that fit them, on their device."""
    if logits.ndim != 2 or not logits.numel():
        raise HarnessError(f"logits are [image, class], one at least; found {shape(logits)}")
    logits, labels = in_full(logits), labels.detach().to(logits.device)
    if labels.shape == logits.shape and labels.is_floating_point():
        return logits, labels.to(logits)
    if labels.shape != logits.shape[:1] or labels.is_floating_point():
        raise HarnessError(
            f"labels are classes [image], or soft labels [image, class], of logits {shape(logits)}; "
            f"found {shape(labels)} of {labels.dtype}"
        )
    labels = labels.long()
    low, high = labels.aminmax()
    if low < 0 or high >= logits.shape[1]:
        raise HarnessError(f"labels are from 0 to {logits.shape[1] - 1}; found {low} to {high}")
    return logits, labels


def shape(tensor: Tensor) -> str:
    return str(list(tensor.shape))
