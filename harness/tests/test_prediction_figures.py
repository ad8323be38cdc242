"""Reliability diagrams and accuracy on corrupted images: what the figures draw is what the tables hold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from harness.plan.catalogue import Series
from harness.plan.study import Point
from harness.readings import robustness
from harness.report.figures import corruption, drawings_of, prediction
from harness.report.figures.reliability import by_confidence
from harness.report.figures.style import Paper, figure_style
from harness.report.tables import TableError

STRONG = Series(
    name="ViT, strong",
    model="vit_tiny",
    role="vit",
    quantity="reliability",
    at="strong",
    x=[15, 95],
    values=[22.3, 97.3],
)
POINTS = {f"vit_{at}": Point(of="vit", study="augmentation", at=at) for at in ("strong", "weak")}


def predictions(roles=("vit_strong", "vit_weak")):
    """Of each role ten images that are sure to 85 % and right in six, and ten sure to 15 % of which two are right."""
    rows = [
        (role, "vit_micro", 0, 1, sure, float(number < right))
        for role in roles
        for sure, right in ((0.85, 6), (0.15, 2))
        for number in range(10)
    ]
    return pd.DataFrame(rows, columns=["role", "model", "seed", "images", "confidence", "correct"])


def test_a_reliability_diagram_has_the_accuracy_of_each_bin():
    found = by_confidence(predictions(["vit_strong"]))
    np.testing.assert_allclose(found, [[15, 20, 0.5], [85, 60, 0.5]])


def test_a_panel_a_role_with_the_papers_curve_of_the_same_augmentation():
    paper = Paper([STRONG], "CIFAR-100", "Fig F.1a", points=POINTS)
    with figure_style():
        diagram, accuracies = prediction.draw(predictions(), paper)
    assert (diagram.name, accuracies.name) == ("reliability", "accuracy")
    strong, weak = diagram.panels
    assert "15 % sure, 20 % right, 85 % sure, 60 % right" in strong.label
    assert "ViT, strong" in strong.label
    assert "22.3 %" in strong.label
    assert "ViT, strong" not in weak.label
    with figure_style():
        assert [drawing.name for drawing in prediction.draw(predictions(), Paper([], "", ""))] == ["accuracy"]


def test_predictions_in_brief_have_accuracies_and_no_reliability_diagram():
    brief = predictions().assign(sample=0).drop(columns="confidence")
    drawings = drawings_of(brief, "prediction", "prediction.parquet", Paper([], "", ""))
    assert [drawing.name for drawing in drawings] == ["accuracy"]
    with pytest.raises(TableError, match=r"^prediction\.parquet has no column confidence"):
        drawings_of(brief, "prediction", "prediction.parquet", Paper([STRONG], "CIFAR-100", "Fig F.1a", points=POINTS))


def corrupted():
    groups = {"fog": "weather", "frost": "weather", "shot_noise": "noise"}
    kinds = [(name, group, severity) for name, group in groups.items() for severity in (1, 2)]
    rows = [
        (role, "net", seed, name, group, severity, "surrogate" if name == "frost" else "regenerated", sample, 10,
         0.9 - 0.1 * severity - 0.2 * (role == "resnet") - 0.3 * (group == "noise") + 0.02 * seed)
        for role in ("vit", "resnet") for seed in (0, 1) for name, group, severity in kinds for sample in (0, 1)
    ]  # fmt: skip
    columns = ["role", "model", "seed", "corruption", "group", "severity", "source", "sample", "images", "correct"]
    return pd.DataFrame(rows, columns=columns)


def test_robustness_is_the_mean_over_corruptions_and_severities_alike():
    table = corrupted()
    mine = table[(table.role == "vit") & (table.seed == 0)]
    assert robustness(mine) == pytest.approx(0.9 - 0.15 - 0.1)
    assert robustness(mine[mine["sample"] == 0]) == pytest.approx(robustness(mine))


def test_robustness_is_drawn_role_by_role_and_severity_by_severity():
    with figure_style():
        whole, course = corruption.draw(corrupted(), Paper([], "", ""))
    (panel,) = whole.panels
    assert "vit (net) 66.0 %" in panel.label
    assert "resnet (net) 46.0 %" in panel.label
    assert "regenerated (fog, shot_noise); surrogate (frost)" in whole.caption
    panels = {panel.title: panel for panel in course.panels}
    assert panels.keys() == {"weather", "noise"}
    weather = panels["weather"]
    assert "vit: 81.0 %, 71.0 %" in weather.label
