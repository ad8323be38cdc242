"""Drawings made beforehand by several processes."""

from __future__ import annotations

import json

import pytest

from harness import report
from harness.judging.evidence import write_evidence
from harness.report import ahead
from harness.report.drawn import FOLDER
from harness.report.summary import summarise
from harness.tests import report_fixtures as made

MODELS = {"alternet": "alternet_micro", "resnet": "preact_resnet_micro"}
CASES = 5


@pytest.fixture
def folder(tmp_path):
    """Results of a few cases, each with a table of its own, and one whose table is missing."""
    claims, results = made.catalogue(tmp_path), tmp_path / "set"
    for number in range(CASES):
        table = made.prediction_table(MODELS, [number, number + 1])
        path = f"tables/A2/c{number}/prediction.parquet"
        tables = [made.write_table(results, path, table)] if number else [path]
        gain = made.effect("accuracy gain", number / CASES, 0.2, unit="pp")
        write_evidence(results, f"c{number}", made.evidence(claims, "A2", [gain], models=MODELS, tables=tables))
    return results, claims


def drawn(results):
    return {path.name: json.loads(path.read_text()) for path in (results / FOLDER).glob("*.json")}


def test_a_page_drawn_by_two_processes_is_the_same(folder, monkeypatch):
    results, claims = folder
    report.build(results, claims)
    page, drawings = (results / "report.html").read_bytes(), drawn(results)
    assert len(drawings) == CASES - 1
    for path in (results / FOLDER).iterdir():
        path.unlink()
    monkeypatch.setattr(ahead, "WORTH_A_PROCESS", 1)
    monkeypatch.setattr(ahead, "cores", lambda: 2)
    monkeypatch.setattr(ahead, "draw_share", lambda *share: None)  # this process leaves its own to the page
    summary = summarise(results, claims)
    ahead.draw_ahead(results, summary, claims)
    assert drawn(results).items() < drawings.items()  # the other's share
    assert len(drawn(results)) == 2
    report.build(results, claims)
    assert (results / "report.html").read_bytes() == page
    assert drawn(results) == drawings
    assert ahead.missing(results, summary) == []


def test_a_process_that_fails_costs_nothing_but_time(folder, monkeypatch, tmp_path):
    results, claims = folder
    monkeypatch.setattr(ahead, "WORTH_A_PROCESS", 1)
    monkeypatch.setattr(ahead, "cores", lambda: 3)
    monkeypatch.setattr("sys.executable", "/bin/false")
    report.build(results, claims)
    assert len(drawn(results)) == CASES - 1


def test_a_few_drawings_are_not_worth_a_process(folder, monkeypatch):
    results, claims = folder
    monkeypatch.setattr(ahead.subprocess, "Popen", lambda *command, **how: pytest.fail("a process was started"))
    report.build(results, claims)
