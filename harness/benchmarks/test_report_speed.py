"""What a report of 1,000 cases costs: without figures, with one a case, and once more when nothing changed.

Nothing here is asserted. Drawing is what costs: tens of milliseconds a panel, kept from one page to the next.
"""

from __future__ import annotations

import shutil

import pytest

from harness import report
from harness.judging.evidence import write_evidence
from harness.report.drawn import FOLDER
from harness.tests import report_fixtures as made

CASES = 1000
MODELS = {"alternet": "alternet_micro", "resnet": "preact_resnet_micro"}


@pytest.fixture(scope="module", params=[0, CASES], ids=["no figures", "a figure a case"])
def folder(request, tmp_path_factory):
    """A results folder of so many cases, and its catalogue."""
    root = tmp_path_factory.mktemp("report")
    claims, results = made.catalogue(root), root / "set"
    for number in range(CASES):
        tables = []
        if number < request.param:
            table = made.prediction_table(MODELS, [number, number + 1])
            tables = [made.write_table(results, f"tables/A2/c{number}/prediction.parquet", table)]
        gain = made.effect("accuracy gain", number / CASES - 0.3, 0.2, unit="pp")
        write_evidence(results, f"c{number}", made.evidence(claims, "A2", [gain], models=MODELS, tables=tables))
    return results, claims


@pytest.mark.slow
@pytest.mark.parametrize("again", [False, True], ids=["the first time", "again"])
def test_report(benchmark, folder, again):
    benchmark.group = f"a report of {CASES:,} cases"
    results, claims = folder
    if not again:
        shutil.rmtree(results / FOLDER, ignore_errors=True)
    benchmark.pedantic(report.build, (results, claims), rounds=1)
    benchmark.extra_info["MB"] = (results / "report.html").stat().st_size / 1e6
