"""What evidence says to people, of which schema it may be, and what a report makes of many cases together."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from harness.judging.evidence import Effect, LookRecord, read_all_evidence, read_evidence
from harness.report.summary import Case, discoveries, summarise
from harness.report.text import verdict_lines
from harness.tests import report_fixtures as made

OLD = Path(__file__).parent / "kept_schema_1"
ONE_LOOK = LookRecord(seeds=3, of=[3], level=0.95)


@pytest.fixture
def claims(tmp_path):
    return made.catalogue(tmp_path)


@pytest.mark.parametrize(
    ("deviations", "verdict", "spoken"),
    [
        ([], "reproduced", "reproduced"),
        (["single seed"], "contradicted", "contradicted"),  # the paper's own has one
        (["25 of 300 epochs"], "reproduced", "agrees"),
        (["single seed", "25 of 300 epochs"], "contradicted", "disagrees"),
        (["25 of 300 epochs"], "negligible", "negligible"),
        (["25 of 300 epochs"], "inconclusive", "inconclusive"),
        (["25 of 300 epochs"], "out of scope", "out of scope"),
    ],
)
def test_off_the_papers_protocol_nothing_is_said_of_the_paper(claims, deviations, verdict, spoken):
    found = made.evidence(claims, "L4", [], verdict=verdict, deviations=deviations)
    assert found.spoken == spoken
    assert json.loads(found.to_json())["verdict"] == verdict


def test_evidence_of_the_first_schema_is_read_and_shown(claims):
    everything = read_all_evidence(OLD)
    assert len(everything) == 3
    for evidence in everything.values():
        assert evidence.schema_ == 1
        assert (evidence.look, evidence.premises, evidence.support) == (None, [], [])
        assert evidence.spoken not in ("reproduced", "contradicted")  # CIFAR-10, small networks, few epochs
    assert discoveries(everything) == {}  # it had no p-values
    text = verdict_lines(summarise(OLD, claims))
    for (claim, name), evidence in everything.items():
        assert any(line.split()[:3:2] == [claim, evidence.spoken] and name in line for line in text.splitlines())


def test_what_is_written_today_is_of_the_second_schema_and_read_back(claims, tmp_path):
    premise = {"name": "test accuracy of vit", "unit": "share", "value": 0.5, "least": 0.2, "holds": True}
    found = made.evidence(claims, "L4", [made.effect("error gap", 1.0, 0.5)], look=ONE_LOOK, premises=[premise])
    path = tmp_path / "evidence.json"
    path.write_text(found.to_json())
    assert json.loads(path.read_text())["schema"] == 2
    assert read_evidence(path) == found


def decided(claims, verdict, *effects):
    """Evidence by the p-values of its deciding effects."""
    key = {"reproduced": "above", "contradicted": "below", "negligible": "small"}.get(verdict, "above")
    found = [made.effect(f"effect {n}", 1.0, 0.5).model_copy(update={key: p}) for n, p in enumerate(effects)]
    reported = made.effect("reported only", 1.0, 0.5, decides=False).model_copy(update={key: 1e-9})
    return made.evidence(claims, "L4", [*found, reported], verdict=verdict, look=ONE_LOOK)


def test_discoveries_are_those_of_benjamini_and_yekutieli(claims):
    """Their procedure by hand: the largest k with p_(k) <= 0.05 k / (m (1 + 1/2 + ... + 1/m))."""
    cases = {
        "all above": (decided(claims, "reproduced", 0.0001, 0.002), 0.002),  # the largest: all have to hold
        "one below": (decided(claims, "contradicted", 0.004, 0.9), 0.008),  # the smallest, after Holm
        "little": (decided(claims, "negligible", 0.001), 0.001),
        "barely": (decided(claims, "reproduced", 0.025), 0.025),
    }
    open_ = decided(claims, "inconclusive", 0.2)
    evidence = {("L4", name): each for name, (each, _) in cases.items()} | {("L4", "open"): open_}
    ordered = sorted(cases, key=lambda name: cases[name][1])
    m = len(cases)
    bounds = 0.05 * np.arange(1, m + 1) / (m * sum(1 / k for k in range(1, m + 1)))
    passing = [k for k, name in enumerate(ordered) if cases[name][1] <= bounds[k]]
    expected = {("L4", name): k <= max(passing) for k, name in enumerate(ordered)}
    assert sorted(expected.values()) == [False, True, True, True]
    assert discoveries(evidence) == expected


@pytest.mark.parametrize(
    ("predicted", "deviations", "said"),
    [
        ((0.5, 2.0), [], "within what one more run of ours would give"),
        ((0.5, 2.0), ["single seed"], "within what one more run of ours would give"),
        ((1.6, 2.0), [], "below what one more run of ours would give"),
        ((0.5, 1.5), [], "above what one more run of ours would give"),
        ((0.5, 2.0), ["25 of 300 epochs"], None),
        (None, [], None),
    ],
)
def test_the_papers_number_stands_beside_the_prediction_of_one_more_run(claims, predicted, deviations, said):
    effect = Effect.model_validate({**made.effect("accuracy gain", 1.0, 0.5).model_dump(), "predicted": predicted})
    evidence = made.evidence(claims, "A2", [effect], deviations=deviations)  # the paper: 1.54
    assert Case("digits", evidence, []).beside(effect) == said
    other = effect.model_copy(update={"name": "another"})
    assert Case("digits", evidence, []).beside(other) is None
