"""The build-up curve beside the paper's (Fig 12a), and the speed of networks and blocks (section 5)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from harness.plan.catalogue import load_catalogue
from harness.plan.study import Point
from harness.report.figures import hessian, prediction, throughput
from harness.report.figures.studies import Course, far_apart
from harness.report.figures.style import Paper, figure_style
from harness.report.tables import TableError

CLAIMS = load_catalogue(Path(__file__).parents[2] / "claims" / "catalogue.toml")
PLACEMENTS = {"alter_0000": "0,0,0,0", "alter_1112": "1,1,1,2", "alter_0112": "0,1,1,2", "alter_0002": "0,0,0,2"}


def paper(claim):
    points = {role: Point(of="alternet", study="placement", at=at) for role, at in PLACEMENTS.items()}
    return Paper(CLAIMS[claim].series, "CIFAR-100", "Fig 12a", CLAIMS[claim].studies, points)


def build_up(right):
    """The panels of a build-up in which so many of ten images are right."""
    rows = [(role, "net", seed, 1, image < right, 0.5) for role in PLACEMENTS for seed in (0, 1) for image in range(10)]
    table = pd.DataFrame(rows, columns=["role", "model", "seed", "images", "correct", "confidence"])
    with figure_style():
        _, course = prediction.draw(table, paper("A1"))
    return course.panels


def test_a_course_far_from_the_papers_has_an_axis_of_its_own_over_the_same_places():
    ours, theirs = build_up(right=4)
    (left, right) = (panel.figure.axes[0] for panel in (ours, theirs))
    order = ["0000", "0001", "0002", "0012", "0022", "0032", "0112", "0212", "1112"]  # the paper's
    assert [[label.get_text() for label in axes.get_xticklabels()] for axes in (left, right)] == [order, order]
    # From left to right, whatever the order of the roles.
    assert list(left.lines[-1].get_xdata()) == [0, 2, 6, 8]
    assert list(right.lines[-1].get_ydata()) == [82.48, 83.45, 83.66, 83.77, 83.52, 83.19, 84.02, 83.39, 83.80]


def test_a_course_near_the_papers_shares_its_axis():
    (together,) = build_up(right=8)
    assert {len(line.get_xdata()) for line in together.figure.axes[0].lines if line.get_linestyle() != "None"} == {4, 9}


def test_noise_beside_noise_is_not_far():
    zero, less_than_one = ([Course("", [1, 2], heights, {}, [])] for heights in ([0.0, 0.0], [0.6, 0.6]))
    assert not far_apart(zero, less_than_one, hessian.NEP)  # its axis goes to 10 %
    assert far_apart(zero, less_than_one, prediction.ACCURACY)


def throughputs(rate):
    rates = {
        "network": {"alternet": 100, "preact_resnet": 80},
        "conv block": {"alternet": 900},
        "msa block": {"alternet": 600},
    }
    rows = [
        (role, f"{role}_mini", seed, what, step, 96, rate * (value + 2 * step))
        for what, of in rates.items()
        for role, value in of.items()
        for seed in (0, 1)
        for step in (0, 1)
    ]
    return pd.DataFrame(rows, columns=["role", "model", "seed", "what", "sample", "images", "images_per_second"])


def test_networks_and_blocks_are_drawn_by_their_images_a_second():
    with figure_style():
        networks, blocks = throughput.draw(throughputs(1.0), paper("A5"))
    ours, theirs = networks.panels
    assert (
        ours.label == "Training images a second: alternet (alternet_mini) 101; preact_resnet (preact_resnet_mini) 81."
    )
    assert "473" in theirs.label
    assert "394" in theirs.label
    (panel,) = blocks.panels
    assert "alternet, conv block (alternet_mini) 901; alternet, msa block (alternet_mini) 601" in panel.label
    assert {line.get_color() for line in panel.figure.axes[0].lines[::2]} == {paper("A5").colour("alternet")}
    assert "alternet,0,conv block,901" in blocks.csv.splitlines()


def test_rates_that_are_no_numbers_are_said():
    with pytest.raises(TableError, match="holds no finite rate"):
        throughput.draw(throughputs(float("nan")), paper("A5"))
