"""The verdict table on terminals of any width."""

from __future__ import annotations

import re

import pytest

from harness.judging.evidence import CaseRecord, write_evidence
from harness.report import verdict_table
from harness.report.summary import summarise
from harness.report.text import verdict_lines
from harness.tests import report_fixtures as made


@pytest.fixture
def claims(tmp_path):
    return made.catalogue(tmp_path)


@pytest.fixture
def results(tmp_path, claims):
    return made.results_folder(tmp_path, claims, probes=())


LONG = made.effect("a name that goes on and on " * 3, -123.4567, 0.0035, unit="rank correlation")


@pytest.mark.parametrize("width", [60, 72, 80, 100, 120, 200])
def test_it_fits_and_no_number_is_broken(results, claims, width):
    case = CaseRecord(dataset="digits", dataset_title="Digits", models={}, seeds=[0])
    write_evidence(results, "a-very-long-case-name-" * 3, made.evidence(claims, "L4", [LONG], case=case))
    text = verdict_lines(summarise(results, claims), width)
    assert max(map(len, text.splitlines())) <= min(width, 120)
    for number in ("-123.4567 [-123.4602, -123.4532]", "0.25 [0.15, 0.35]", "-1.25 [-2.15, -0.35]"):
        assert number in text
    for claim, verdict in (("F2", "agrees"), ("A2", "disagrees")):
        assert re.search(rf"^{claim} .*{verdict}", text, re.MULTILINE)


def test_it_takes_the_width_of_the_terminal(results, claims, monkeypatch):
    for columns, widest in (("80", 80), ("20", 60), ("500", 120)):
        monkeypatch.setenv("COLUMNS", columns)
        lines = verdict_table(results, claims).splitlines()
        assert max(map(len, lines)) <= widest
        assert max(map(len, lines)) > widest - 10


def test_a_fault_is_an_error_and_not_a_case_that_was_not_run(results, claims):
    before = verdict_lines(summarise(results, claims))
    missed = made.evidence(claims, "L4", [], verdict="not run", fault=True, reason="out of memory")
    write_evidence(results, "digits", missed)
    text = verdict_lines(summarise(results, claims))
    assert re.search(r"^L4 +digits +error\n +out of memory$", text, re.MULTILINE)
    assert before.endswith("4 not run\n")
    assert text.endswith("3 not run, 1 error\n")


def test_a_theorem_is_said_not_to_be_counted(results, claims, tmp_path):
    """A row that says "agrees" beside a sum that does not count it wants a word."""
    before = verdict_lines(summarise(results, claims))
    proven = made.catalogue(tmp_path, made.CATALOGUE.replace("[F2]", "[F2]\ntheorem = true", 1))
    text = verdict_lines(summarise(results, proven))
    assert "a theorem" not in before
    assert ", 1 agrees," in before
    assert " agrees," not in text.splitlines()[-2]
    assert text.endswith("\nF2 is a theorem: shown, not counted\n")


def test_a_persons_own_network_is_named(results, claims):
    models = {"vit": "subject/net.py:make", "vit_weak": "subject/net.py:make, mixup 0"}
    write_evidence(results, "digits", made.evidence(claims, "F2", [LONG], models=models))
    assert "\nvit is played by net.py:make\n" in verdict_lines(summarise(results, claims))
