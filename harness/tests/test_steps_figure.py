"""What claims F1, F2 and F4 draw of their own: the paper's curves come to the paper's numbers, ours to the tables'."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.plan.catalogue import load_catalogue
from harness.report.figures import draw
from harness.report.figures.steps import VALUE, WAYS, published
from harness.report.figures.style import Paper
from harness.report.figures.trade import PICTURE
from harness.tests import report_fixtures as made

CATALOGUE = load_catalogue(Path(__file__).parents[2] / "claims" / "catalogue.toml")


def paper_units(claim, role):
    (series,) = (each for each in CATALOGUE[claim].series if each.role == role)
    return published(series, WAYS[CATALOGUE[claim].picture])


def of_paper(claim, name):
    return next(effect.paper for rule in CATALOGUE[claim].rules for effect in rule.effects if effect.name == name)


@pytest.mark.parametrize(
    ("claim", "role", "effect", "sign"),
    [
        ("F1", "resnet", "ResNet: steps inside stages add up to a rise", 1),
        ("F1", "vit", "ViT: steps add up to a fall", -1),
        ("F4", "resnet", "stage 1: last block above stem", 1),
    ],
)
def test_the_papers_curve_ends_at_the_papers_effect(claim, role, effect, sign):
    assert sign * paper_units(claim, role)["height"].iloc[-1] == pytest.approx(of_paper(claim, effect), abs=0.006)


@pytest.mark.parametrize(("kind", "effect", "sign"), [("msa", "MSA steps are negative on average", -1),
                                                      ("mlp", "MLP steps are positive on average", 1)])  # fmt: skip
def test_the_papers_late_steps_have_the_papers_mean(kind, effect, sign):
    steps = paper_units("F2", "vit").query("kind == @kind")["height"]
    assert len(steps) == 12
    assert sign * steps.iloc[3:].mean() == pytest.approx(of_paper("F2", effect), abs=0.001)


@pytest.fixture
def drawn(tmp_path):
    """The drawing of a way, and its numbers by role, seed and unit; and the table that it is of."""

    def drawing(way, roles):
        table = made.fourier_table(roles, [0, 1])
        made.write_table(tmp_path, "fourier.parquet", table)
        first, *_ = draw(tmp_path / "fourier.parquet", replace(Paper([], "", ""), picture=way), "key")
        return first, pd.read_csv(io.StringIO(first.csv)).set_index(["role", "seed", "unit"])["height"], table

    return drawing


def amplitude(table, role, seed, unit):
    rows = table[(table.label == 1.0) & (table.role == role) & (table.seed == seed) & (table.unit == unit)]
    return np.average(rows[VALUE], weights=rows["images"])


def test_a_step_to_another_resolution_counts_as_none(drawn):
    drawing, heights, table = drawn("sum of steps", ["resnet"])
    assert (len(drawing.panels), drawing.name) == (1, "steps")
    # 8 px in units 0 to 2, 4 px from unit 3 on
    inside = amplitude(table, "resnet", 1, 2) - amplitude(table, "resnet", 1, 0)
    assert heights["resnet", 1, 3] == heights["resnet", 1, 2] == pytest.approx(inside, rel=1e-4)
    later = amplitude(table, "resnet", 1, 6) - amplitude(table, "resnet", 1, 3)
    assert heights["resnet", 1, 6] == pytest.approx(inside + later, rel=1e-4)


def test_msas_and_mlps_have_a_panel_each(drawn):
    drawing, heights, table = drawn("steps by kind", ["vit"])
    assert [panel.title for panel in drawing.panels] == ["MSA steps", "MLP steps"]
    assert all("vit_micro" in panel.svg for panel in drawing.panels)
    assert heights["vit", 0, 5] == pytest.approx(
        amplitude(table, "vit", 0, 5) - amplitude(table, "vit", 0, 4), rel=1e-4
    )


def test_the_first_stage_ends_where_the_second_begins(drawn):
    _, heights, table = drawn("first stage", ["resnet"])
    assert heights.index.get_level_values("unit").max() == 2
    above = amplitude(table, "resnet", 0, 2) - amplitude(table, "resnet", 0, 0)
    assert heights["resnet", 0, 2] == pytest.approx(above, rel=1e-4)


def test_every_picture_of_the_catalogue_can_be_drawn():
    asked = {claim.picture for claim in CATALOGUE.claims.values()} - {None}
    assert asked == {*WAYS, PICTURE}
