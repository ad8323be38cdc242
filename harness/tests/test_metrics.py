"""Metrics of predictions against the definition in float64 and plain loops, scikit-learn, torchmetrics."""

from __future__ import annotations

import copy
import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from harness import metrics, readings
from harness.errors import HarnessError
from harness.probes import prediction
from models import create_model


def drawn(n, classes, scale, seed, *, whole=False):
    """Logits and labels; whole logits make ties, a large scale probabilities of 1 and such as underflow."""
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(n, classes, generator=generator)
    return logits.round() if whole else logits, torch.randint(classes, (n,), generator=generator)


CASES = st.builds(
    drawn,
    st.integers(1, 40),
    st.integers(2, 8),
    st.sampled_from([0.0, 1.0, 30.0, 1000.0]),
    st.integers(0, 2**31),
    whole=st.booleans(),
)


def softmax(row):
    """Exact enough: python's own floats."""
    odds = [math.exp(value - max(row)) for value in row]
    return [value / math.fsum(odds) for value in odds]


def mean(values, empty=math.nan):
    values = list(values)
    return math.fsum(values) / len(values) if values else empty


def by_definition(logits, labels, bins, cutoff):
    """Every metric, image by image and class by class."""
    rows, labels = logits.double().tolist(), labels.tolist()
    p = [softmax(row) for row in rows]
    predicted = [row.index(max(row)) for row in rows]
    confidence = [float(np.float32(max(each))) for each in p]
    correct = [float(one == other) for one, other in zip(predicted, labels, strict=True)]
    sure = [value > np.float32(cutoff) for value in confidence]
    gaps = []
    for index in range(bins):
        low, high = np.float32(index / bins), np.float32((index + 1) / bins)
        mine = [image for image, value in enumerate(confidence) if low < value <= high]
        gaps.append(math.fsum(confidence[image] - correct[image] for image in mine) / len(rows))

    def overlap(images):
        shares = []
        for name in range(len(rows[0])):
            one = {image for image in images if labels[image] == name}
            other = {image for image in images if predicted[image] == name}
            shares += [len(one & other) / len(one | other)] if one | other else []
        return mean(shares)

    images = range(len(rows))
    own = [row[label] for row, label in zip(rows, labels, strict=True)]
    logs = [math.log(math.fsum(math.exp(value - max(row)) for value in row)) + max(row) for row in rows]
    return {
        "accuracy": mean(correct),
        "top5": mean(sum(value > own[image] for value in rows[image]) < 5 for image in images),
        "nll": mean(logs[image] - own[image] for image in images),
        "brier": mean(sum((p[i][c] - (c == labels[i])) ** 2 for c in range(len(p[i]))) for i in images),
        "ece": math.fsum(abs(gap) for gap in gaps),
        "signed_ece": math.fsum(gaps),
        f"acc{100 * cutoff:g}": mean(correct[image] for image in images if sure[image]),
        f"unc{100 * cutoff:g}": mean(not sure[image] for image in images if not correct[image]),
        f"freq{100 * cutoff:g}": mean(sure),
        "iou": overlap(images),
        f"iou{100 * cutoff:g}": overlap([image for image in images if sure[image]]),
    }


@settings(max_examples=80, deadline=None)
@given(CASES, st.integers(1, 15), st.sampled_from([0.0, 0.5, 0.75, 0.9]))
def test_all_are_their_definition(case, bins, cutoff):
    expected = by_definition(*case, bins, cutoff)
    found = metrics.metrics(*case, bins=bins, cutoff=cutoff)
    assert found == pytest.approx(expected, rel=2e-5, abs=2e-6, nan_ok=True)
    exact = metrics.metrics(case[0].double(), case[1], bins=bins, cutoff=cutoff)
    assert exact == pytest.approx(expected, rel=1e-7, abs=1e-7, nan_ok=True)


@settings(max_examples=25, deadline=None)
@given(CASES, st.integers(1, 7))
def test_one_by_one_they_are_the_same_and_the_table_gives_them_too(case, bins):
    every = metrics.metrics(*case, bins=bins)
    binned = {"ece", "signed_ece"}
    single = {
        name: getattr(metrics, name)(*case, **({"bins": bins} if name in binned else {}))
        for name in every.keys() - {"top5"}
    }
    assert {**single, "top5": metrics.top_k(*case)} == pytest.approx(every, abs=0, nan_ok=True)
    table = metrics.predictions(*case)
    assert readings.scores(table, bins=bins) == pytest.approx(every, abs=0, nan_ok=True)
    pd.testing.assert_frame_equal(metrics.reliability(*case, bins), readings.reliability(table, bins))


@settings(max_examples=25, deadline=None)
@given(CASES, st.integers(1, 11), st.integers(1, 100))
def test_nothing_depends_on_how_images_are_cut(case, size, piece):
    whole, before = metrics.per_image(*case), metrics.PIECE
    parts = zip(case[0].split(size), case[1].split(size), strict=True)
    assert torch.allclose(torch.cat([metrics.per_image(*part) for part in parts]), whole, rtol=1e-6, atol=0)
    try:
        metrics.PIECE = piece
        assert torch.allclose(metrics.per_image(*case), whole, rtol=1e-6, atol=0)
    finally:
        metrics.PIECE = before


def test_they_are_scikit_learns():
    from sklearn.calibration import calibration_curve
    from sklearn.metrics import accuracy_score, jaccard_score, log_loss, top_k_accuracy_score

    logits, labels = drawn(500, 12, 2.0, 0)
    found, p, known = metrics.metrics(logits, labels), logits.double().softmax(1).numpy(), labels.numpy()
    table = metrics.predictions(logits, labels)
    assert found["accuracy"] == accuracy_score(known, p.argmax(1))
    assert found["nll"] == pytest.approx(log_loss(known, p, labels=range(12)), rel=1e-6)
    assert found["iou"] == pytest.approx(jaccard_score(known, p.argmax(1), average="macro"))
    for k in (1, 3, 5):
        assert metrics.top_k(logits, labels, k) == top_k_accuracy_score(known, p, k=k, labels=range(12))
    accuracy, confidence = calibration_curve(p.argmax(1) == known, p.max(1), n_bins=10)
    curve = readings.reliability(table).dropna()
    np.testing.assert_allclose(curve[["accuracy", "confidence"]], np.stack([accuracy, confidence], 1), rtol=1e-6)
    assert curve["count"].sum() == 500


def test_they_are_torchmetrics():
    theirs = pytest.importorskip("torchmetrics.functional.classification", reason="the other side of the comparison")
    logits, labels = drawn(500, 12, 2.0, 0)
    found, p = metrics.metrics(logits, labels, bins=15), logits.softmax(1)
    about = {"num_classes": 12}
    assert found["accuracy"] == pytest.approx(theirs.multiclass_accuracy(p, labels, average="micro", **about).item())
    assert found["top5"] == pytest.approx(
        theirs.multiclass_accuracy(p, labels, average="micro", top_k=5, **about).item()
    )
    assert found["ece"] == pytest.approx(
        theirs.multiclass_calibration_error(p, labels, n_bins=15, **about).item(), rel=1e-5
    )
    assert found["iou"] == pytest.approx(theirs.multiclass_jaccard_index(p, labels, **about).item())


# --- edges, saturation, classes that are missing ----------------------------------------------------------------------


def test_a_confidence_of_1_is_in_the_last_bin_and_one_on_an_edge_in_the_lower():
    certain = torch.tensor([[200.0, 0.0, 0.0]]).repeat(10, 1)
    labels = torch.tensor([0] + [1] * 9)
    found = metrics.metrics(certain, labels)
    assert found["ece"] == found["signed_ece"] == pytest.approx(0.9)
    for classes in range(2, 21):  # all alike: a confidence of 1 / classes
        for dtype in (torch.float32, torch.float64):
            logits = torch.full((3, classes), 7.3, dtype=dtype)
            rows = metrics.reliability(logits, torch.zeros(3, dtype=torch.long), bins=classes)
            assert rows["count"].tolist() == [3] + [0] * (classes - 1)


def test_the_official_convention_loses_a_confidence_of_1_and_the_likelihood_of_what_underflows():
    certain, labels = torch.tensor([[200.0, 0.0]]).repeat(10, 1), torch.tensor([0] + [1] * 9)
    found = metrics.metrics(certain, labels, convention="official")
    assert (found["ece"], found["signed_ece"]) == pytest.approx((0.1, -0.1))  # as in their issue, though 90 % are wrong
    assert found["nll"] == math.inf
    assert metrics.nll(certain, labels) == pytest.approx(180)


def official(logits, labels, bins=10, cutoff=0.9, batch=7):
    """What the authors' `ops/tests.py` does, from its description: confusion matrices, bins, means over batches."""
    p, labels = logits.softmax(1).numpy(), labels.numpy()
    confidence, predicted, classes = p.max(1), p.argmax(1), p.shape[1]

    def confusion(low, high):
        matrix = np.zeros((classes, classes))
        for image in np.flatnonzero((confidence > np.float32(low)) & (confidence <= np.float32(high))):
            matrix[labels[image], predicted[image]] += 1
        return matrix

    def overlap(matrix):
        union = matrix.sum(0) + matrix.sum(1) - np.diag(matrix)
        there = matrix.sum(1) > 0
        return (np.diag(matrix)[there] / union[there]).mean() if there.any() else 0.0

    def right(matrix):
        return np.trace(matrix) / matrix.sum() if matrix.sum() else 0.0

    def wrong(matrix):
        return matrix.sum() - np.trace(matrix)

    ece = signed = 0.0
    for index in range(bins):
        low, high = index / bins, (index + 1) / bins
        matrix = confusion(low, high)
        inside = (confidence >= np.float32(low)) & (confidence < np.float32(high))
        gap = confidence[inside].sum(dtype=float) / (matrix.sum() + 1e-7) - right(matrix)
        ece += abs(gap) * matrix.sum() / len(labels)
        signed += gap * matrix.sum() / len(labels)
    sure, unsure = confusion(cutoff, 1), confusion(0, cutoff)
    with np.errstate(divide="ignore"):
        losses = -np.log(p[np.arange(len(labels)), labels])
    return {
        "nll": np.mean([losses[start : start + batch].mean() for start in range(0, len(labels), batch)]),
        "ece": ece,
        "signed_ece": signed,
        "acc90": right(sure),
        "unc90": wrong(unsure) / (wrong(sure) + wrong(unsure) + 1e-7),
        "freq90": sure.sum() / len(labels),
        "iou": overlap(confusion(0, 1)),
        "iou90": overlap(sure),
    }


@settings(max_examples=40, deadline=None)
@given(CASES)
def test_the_official_convention_is_the_authors_code(case):
    expected = official(*case)
    found = metrics.metrics(*case, convention="official")
    found["nll"] = metrics.nll(*case, convention="official", batch_size=7)
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-4, abs=2e-6)


def test_a_class_that_is_only_predicted_counts_unless_officially():
    logits, labels = torch.eye(4)[[0, 1, 2]], torch.tensor([0, 0, 2])
    assert metrics.iou(logits, labels) == pytest.approx((1 / 2 + 0 + 1) / 3)
    assert metrics.iou(logits, labels, convention="official") == pytest.approx((1 / 2 + 1) / 2)


def test_reliability_of_each_class_adds_up_to_that_of_all():
    case = drawn(200, 5, 1.0, 3)
    each, whole = metrics.reliability(*case, 8, per_class=True), metrics.reliability(*case, 8)
    assert each["predicted"].nunique() == 5
    assert each.groupby("bin")["count"].sum().tolist() == whole["count"].tolist()
    sums = (each["count"] * each["accuracy"].fillna(0)).groupby(each["bin"]).sum()
    np.testing.assert_allclose(sums, whole["count"] * whole["accuracy"].fillna(0))


def test_a_network_that_has_diverged_is_not_good():
    logits = torch.full((4, 10), torch.nan)
    found = metrics.metrics(logits, torch.arange(4))
    assert found["top5"] == found["freq90"] == 0
    assert all(math.isnan(found[name]) for name in ("nll", "brier", "ece", "signed_ece"))


# --- soft labels, ensembles, sequences --------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(CASES, st.integers(0, 2**31))
def test_soft_labels_are_their_definition_and_bare_ones_where_they_are_sure(case, seed):
    logits, labels = case
    targets = torch.rand(logits.shape, generator=torch.Generator().manual_seed(seed)) ** 4
    targets = targets / targets.sum(1, keepdim=True)
    logs, p = logits.double().log_softmax(1).numpy(), logits.double().softmax(1).numpy()
    nll = np.mean([-np.dot(target, log) for target, log in zip(targets.numpy(), logs, strict=True)])
    found = metrics.metrics(logits, targets)
    assert found == pytest.approx({"nll": nll, "brier": ((p - targets.numpy()) ** 2).sum(1).mean()}, rel=1e-5, abs=1e-6)
    bare = nn.functional.one_hot(labels, logits.shape[1]).float()
    for metric in (metrics.nll, metrics.brier):
        assert metric(logits, bare) == pytest.approx(metric(logits, labels), rel=1e-5, abs=1e-6)


def test_an_impossible_class_costs_nothing_that_is_not_asked_for():
    logits = torch.tensor([[0.0, -torch.inf]])
    assert metrics.nll(logits, torch.tensor([[1.0, 0.0]])) == metrics.nll(logits, torch.tensor([0])) == 0
    assert metrics.nll(logits, torch.tensor([1])) == math.inf


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 5), st.sampled_from([1.0, 100.0, 1000.0]), st.integers(0, 2**31))
def test_an_ensemble_is_the_mean_of_probabilities(members, scale, seed):
    logits = scale * torch.randn(members, 6, 4, generator=torch.Generator().manual_seed(seed))
    found = metrics.ensemble(list(logits))
    np.testing.assert_allclose(found.double().exp(), logits.double().softmax(-1).mean(0), atol=1e-6)
    assert found.isfinite().all()  # where a mean of probabilities is 0, its logarithm is not
    np.testing.assert_allclose(metrics.ensemble(list(logits.log_softmax(-1))), found, rtol=1e-5, atol=1e-5)


def test_what_an_ensemble_is_not_of_is_refused():
    for members in ([], [torch.zeros(2, 3), torch.zeros(2, 4)]):
        with pytest.raises(HarnessError, match="one shape"):
            metrics.ensemble(members)


def test_consistency_of_sequences_is_its_definition():
    logits = torch.randn(5, 7, 4, generator=torch.Generator().manual_seed(0))
    p = logits.double().softmax(-1).numpy()
    same, crossed = [], []
    for sequence in p:
        for before, after in pairwise(sequence):
            same.append(before.argmax() == after.argmax())
            crossed.append(-(after * np.log(before)).sum())
    assert metrics.consistency(logits) == pytest.approx(np.mean(same))
    assert metrics.cross_entropy_consistency(logits) == pytest.approx(np.mean(crossed), rel=1e-6)
    official = metrics.cross_entropy_consistency(logits, convention="official")
    assert official == pytest.approx(np.mean(crossed) / 4, rel=1e-6)
    still = logits[:, :1].expand(-1, 3, -1)
    assert metrics.consistency(still) == 1
    assert metrics.cross_entropy_consistency(1000 * still) == pytest.approx(0, abs=1e-6)


# --- dropout ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return create_model("resnet_micro", num_classes=5, image_size=8, in_chans=1, mc_dropout=0.3)


@pytest.fixture(scope="module")
def given_images():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(30, 1, 8, 8, generator=generator), torch.randint(5, (30,), generator=generator)


def test_mc_dropout_is_the_mean_over_passes_and_hangs_on_its_seed_alone(network, given_images):
    images, _ = given_images
    state = torch.random.get_rng_state()
    found = metrics.mc_dropout(network, images, passes=3, seed=5)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(metrics.mc_dropout(network, images, passes=3, seed=5), found)
    assert not torch.equal(metrics.mc_dropout(network, images, passes=3, seed=6), found)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(5)
        passes = torch.stack([network(images).double().softmax(1) for _ in range(3)])
    np.testing.assert_allclose(found.exp(), passes.mean(0), rtol=1e-4)


def test_only_dropout_is_active():
    class Net(nn.Sequential):
        def __init__(self):
            super().__init__(nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 3), nn.Dropout(0.0))

    torch.manual_seed(0)
    model, images = Net(), torch.randn(20, 4)
    before = copy.deepcopy(model.state_dict())
    found = metrics.mc_dropout(model, images, passes=2)
    assert not any(module.training for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with torch.no_grad():
        assert not torch.allclose(found, model(images).log_softmax(1))
        torch.manual_seed(0)
        model[1].train()
        passes = [model(images).softmax(1) for _ in range(2)]
    assert torch.allclose(found.exp(), sum(passes) / 2)


def test_a_network_without_dropout_and_no_passes_are_refused(network, given_images):
    with pytest.raises(HarnessError, match="has no dropout"):
        metrics.mc_dropout(
            create_model("vit_micro", num_classes=5, image_size=8, in_chans=1), given_images[0], passes=2
        )
    with pytest.raises(HarnessError, match="passes=0"):
        metrics.mc_dropout(network, given_images[0], passes=0)


def test_the_probe_takes_passes_and_does_not_see_batches(network, given_images):
    tables = [
        prediction(network, list(zip(*(part.split(size) for part in given_images), strict=True)), mc_dropout=4)
        for size in (30, 7)
    ]
    pd.testing.assert_frame_equal(*tables)
    other = prediction(network, [given_images], mc_dropout=4, seed=1)
    assert not np.allclose(other["nll"], tables[0]["nll"])


# --- tables, and what is refused --------------------------------------------------------------------------------------


def test_the_probes_table_gives_the_numbers_of_the_logits():
    torch.manual_seed(0)
    model = create_model("resnet_micro", num_classes=10, image_size=8, in_chans=1).eval()
    images, labels = torch.randn(50, 1, 8, 8), torch.randint(10, (50,))
    table = prediction(model, list(zip(images.split(20), labels.split(20), strict=True)))
    with torch.no_grad():
        expected = metrics.metrics(model(images), labels, cutoff=0.15)
    assert readings.scores(table, cutoff=0.15) == pytest.approx(expected, rel=1e-5, nan_ok=True)


def test_a_table_of_version_1_says_what_it_has_and_what_it_has_not():
    torch.manual_seed(0)
    model = create_model("resnet_micro", num_classes=10, image_size=8, in_chans=1)
    images, labels = torch.randn(50, 1, 8, 8), torch.randint(10, (50,))
    table = prediction(model, [(images, labels)]).drop(columns=["rank", "brier"])
    assert readings.accuracy(table) == table.correct.mean()
    assert readings.signed_ece(table) == pytest.approx(table.confidence.mean() - table.correct.mean())
    assert readings.nll(table) == pytest.approx(table.nll.mean())
    assert 0 < readings.iou(table) <= 1
    for reading in (readings.brier, readings.top_k):
        with pytest.raises(HarnessError, match="measure again"):
            reading(table)


@pytest.mark.parametrize(
    ("logits", "labels", "said"),
    [
        (torch.zeros(3), torch.zeros(3, dtype=torch.long), r"\[image, class\]"),
        (torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), "one at least"),
        (torch.zeros(3, 4), torch.zeros(2, dtype=torch.long), r"found \[2\]"),
        (torch.zeros(3, 4), torch.zeros(3), "float32"),
        (torch.zeros(3, 4), torch.tensor([0, 1, 4]), "from 0 to 3; found 0 to 4"),
        (torch.zeros(3, 4), torch.tensor([0, -1, 2]), "found -1 to 2"),
        (torch.zeros(3, 4), torch.zeros(3, 4), "soft labels"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_line(logits, labels, said):
    with pytest.raises(HarnessError, match=said) as caught:
        metrics.accuracy(logits, labels)
    assert "\n" not in str(caught.value)


def test_an_unknown_convention_and_no_bins_are_refused():
    case = drawn(5, 3, 1.0, 0)
    with pytest.raises(HarnessError, match="official"):
        metrics.ece(*case, convention="offical")
    with pytest.raises(HarnessError, match="bins=0"):
        metrics.ece(*case, bins=0)
    with pytest.raises(HarnessError, match="no images|without images"):
        readings.ece(metrics.predictions(*case).iloc[:0])
    with pytest.raises(HarnessError, match="2 frames"):
        metrics.consistency(torch.zeros(3, 1, 4))
