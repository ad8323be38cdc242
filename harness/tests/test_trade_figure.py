"""Test error over NLL_train, which claims L4 and L13 draw from two tables."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness import report
from harness.judging.evidence import write_evidence
from harness.plan.catalogue import load_catalogue
from harness.report.figures import draw_together
from harness.report.figures.style import Paper
from harness.report.figures.trade import PICTURE, paper_place
from harness.report.tables import TableError
from harness.tests import report_fixtures as made

MODELS = {"vit": "vit_micro", "resnet": "resnet_micro"}
CATALOGUE = load_catalogue(Path(__file__).parents[2] / "claims" / "catalogue.toml")
WANTED = Paper([], "", "", picture=PICTURE)


@pytest.fixture
def tables(tmp_path):
    """Of a case in a results folder: predictions and fits of two networks and two seeds."""
    made.write_table(tmp_path, "tables/L4/digits/prediction.parquet", made.prediction_table(MODELS, [0, 1]))
    made.write_table(tmp_path, "tables/L4/digits/fit.parquet", made.fit_table(MODELS, [0, 1]))
    return [tmp_path / f"tables/L4/digits/{probe}.parquet" for probe in ("prediction", "fit")]


def test_each_seed_has_its_error_and_its_nll(tables):
    (drawing,) = draw_together(tables, WANTED, "key")
    drawn = pd.read_csv(io.StringIO(drawing.csv)).set_index(["role", "seed"])
    right = pd.read_parquet(tables[0]).groupby(["role", "seed"])["correct"].mean()
    assert drawn["error"].to_dict() == pytest.approx((100 * (1 - right)).to_dict(), rel=1e-5)
    assert drawn.loc["vit", "nll"].tolist() == pytest.approx([(6 * 1 + 2 * 5) / 8] * 2)  # two groups, 6 and 2 strong
    (panel,) = drawing.panels
    assert ">resnet</text>" in panel.svg
    assert "vit 2.000 nats" in panel.label


def test_the_papers_networks_stand_where_its_figure_has_them():
    claim = CATALOGUE["L4"]
    assert claim.picture == CATALOGUE["L13"].picture == PICTURE
    paper = Paper(claim.series, claim.dataset_title, claim.figure, picture=claim.picture)
    places = {role: paper_place(paper, role) for role in claim.models}
    assert places["vit"] == (2.522, 33.49)
    assert np.argmax([error for _, error in places.values()]) == list(places).index("mixer")
    assert paper_place(paper, "nobody") is None


def test_it_is_drawn_of_both_tables_or_says_what_is_missing(tables):
    with pytest.raises(TableError, match="no table of fit for the error over NLL_train"):
        draw_together(tables[:1], WANTED, "key")
    assert draw_together(tables, Paper([], "", ""), "key") == []


def test_the_page_has_it_before_what_each_table_shows(tables, tmp_path):
    text = made.CATALOGUE.replace("[L4]\n", f'[L4]\npicture = "{PICTURE}"\n', 1)
    claims = made.catalogue(tmp_path, text)
    told = [str(path.relative_to(tmp_path)) for path in tables]
    gap = made.evidence(claims, "L4", [made.effect("error gap", 3, 1, unit="pp")], models=MODELS, tables=told)
    write_evidence(tmp_path, "digits", gap)
    page = report.build(tmp_path, claims).read_text()
    assert page.index("Test error over NLL_train.") < page.index("<b>Accuracy.") < page.index("<b>NLL_train.")
    assert report.build(tmp_path, claims).read_text() == page  # as it was kept
