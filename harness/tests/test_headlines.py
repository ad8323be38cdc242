"""The first screen of a report: what it counts, where it leads, and on what it says to rest."""

from __future__ import annotations

import re

import pytest

from harness.judging.evidence import Control, PremiseRecord, write_evidence
from harness.report.forest import comparable, on_the_papers_scale
from harness.report.headlines import answer, headlines, networks, own, seeds, shared, spared
from harness.report.summary import summarise
from harness.tests import report_fixtures as made

OFF = ["handwritten digits (8×8) instead of ImageNet-1K", "micro networks"]
AGREES, OPEN = {"verdict": "reproduced"}, {"verdict": "inconclusive"}


@pytest.fixture
def summary(tmp_path):
    """Of cases as (claim, effects, changes)."""
    claims = made.catalogue(tmp_path)

    def of(*cases):
        for number, (claim, effects, changes) in enumerate(cases):
            mine = made.evidence(claims, claim, effects, **{"deviations": OFF, **changes})
            write_evidence(tmp_path / "quick", f"digits-{number}", mine)
        return summarise(tmp_path / "quick", claims)

    of.claims = claims
    return of


def steps(attention, mlp, half=0.05):
    return [made.effect("attention step, sign turned", attention, half), made.effect("MLP step", mlp, half)]


def test_one_sentence_counts_the_cases_in_scope(summary):
    found = summary(
        ("F2", steps(0.2, 0.2), AGREES),
        ("F2", steps(0.0, 0.2), OPEN),
        ("F2", steps(0.0, 0.2), {"verdict": "out of scope"}),
        ("A2", [made.effect("accuracy gain", -1.0, 0.5)], {"verdict": "contradicted"}),
    )
    assert answer(found) == ("On Digits 8×8, of 3 cases in scope 1 agrees with the paper, 1 disagrees, 1 is undecided.")
    assert [headline.verdicts for headline in headlines(found)] == [
        "not judged here",
        "1 agrees with the paper, 1 is undecided",
        "not judged here",
        "1 disagrees",
        "not judged here",
    ]


def test_nothing_judged_is_said(tmp_path):
    claims = made.catalogue(tmp_path)
    assert answer(summarise(tmp_path / "none", claims)) == "Nothing was judged here."


@pytest.mark.parametrize(("values", "lean"), [((0.1, 0.1), "for"), ((0.1, -0.1), "against"), ((None, 0.1), "against")])
def test_an_undecided_case_says_which_way_it_leans(summary, values, lean):
    found = summary(("F2", steps(*values, half=1.0), OPEN), ("F2", steps(0.2, 0.2), AGREES))
    marks = headlines(found)[1].marks
    assert [(mark.label, mark.outcome, mark.lean) for mark in marks] == [
        ("F2", "inconclusive", lean),
        ("F2", "agrees", None),
    ]
    assert marks[0].target == ("F2", "digits-0")


def test_who_stands_behind_it_and_how_well_they_do_beside_the_papers_networks(summary):
    learned = PremiseRecord(name="mean test accuracy of alternet", unit="share", value=0.915, least=0.9, holds=True)
    found = summary(("A2", [made.effect("accuracy gain", 1.0, 0.5)], {"premises": [learned]}))
    rows = {network.role: network for network in networks(found, summary.claims)}
    assert rows["alternet"].models == ["alternet_micro"]
    assert (rows["alternet"].accuracy, rows["alternet"].paper) == (pytest.approx(91.5), 84.02)
    assert (rows["resnet"].accuracy, rows["resnet"].paper) == (None, None)


@pytest.mark.parametrize(("random", "verdict", "said"), [
    ((0.1, 0.2), "reproduced", True),
    ((0.1, -0.2), "reproduced", False),
    ((0.1, None), "reproduced", False),
    ((0.1, 0.2), "inconclusive", False),
])  # fmt: skip
def test_what_random_weights_show_as_well_is_marked(summary, random, verdict, said):
    controls = [Control(value=value, low=None, high=None, n=3) for value in random]
    found = [
        step.model_copy(update={"untrained": control}) for step, control in zip(steps(1, 1), controls, strict=True)
    ]
    (mark,) = headlines(summary(("F2", found, {"verdict": verdict})))[1].marks
    assert mark.untrained == said
    assert ("random weights" in mark.words) == said


def test_what_was_not_run_stands_behind_nothing(summary):
    found = summary(("A2", [], {"verdict": "not run", "reason": "stopped"}))
    assert networks(found, summary.claims) == []
    assert (seeds(found), answer(found)) == ("no seeds", "Nothing was judged here.")


def test_one_seed_is_not_seeds(summary):
    case = made.evidence(summary.claims, "F2", steps(0.2, 0.2)).case
    cases = [("F2", steps(0.2, 0.2), {"case": case.model_copy(update={"seeds": list(range(n))})}) for n in (1, 3)]
    assert seeds(summary(cases[0])) == "1 seed"
    assert seeds(summary(*cases)) == "1 to 3 seeds"


def test_a_deviation_of_all_cases_is_said_once_and_others_with_their_case(summary):
    found = summary(
        ("F2", steps(0.2, 0.2), {"deviations": [*OFF, "2 of 300 epochs"]}),
        ("A2", [made.effect("accuracy gain", 1.0, 0.5)], {}),
    )
    assert shared(found) == OFF
    assert [own(evidence, OFF) for evidence in found.evidence] == [["2 of 300 epochs"], []]


def test_what_nearly_all_cases_share_is_said_once_and_where_one_is_spared_it(summary):
    cases = [("F2", steps(0.2, 0.2), {})] * 10
    found = summary(*cases, ("A2", [made.effect("accuracy gain", 1.0, 0.5)], {"deviations": OFF[:1]}))
    assert shared(found) == OFF
    assert [spared(evidence, OFF) for evidence in found.evidence] == [[]] * 10 + [OFF[1:]]
    half = summary(
        ("F2", steps(0.2, 0.2), {}), ("A2", [made.effect("accuracy gain", 1.0, 0.5)], {"deviations": OFF[:1]})
    )
    assert shared(half) == OFF[:1]


def test_effects_stand_on_the_scale_of_the_papers_own(summary):
    """0 is the null and 1 the paper's; what goes beyond the picture is an arrow at its edge."""
    found = summary(
        ("F2", steps(0.098, 0.22, half=0.049), AGREES), ("F2", steps(0.1, 0.1), {"verdict": "out of scope"})
    )
    rows = comparable(found)
    assert [(id, effect.name, size) for id, _, effect, size in rows] == [
        ("F2", "attention step, sign turned", 0.098),
        ("F2", "MLP step", 0.11),
    ]
    picture = on_the_papers_scale(rows[0][2], rows[0][3])
    at = {
        name: re.search(rf'class="{name}" c?x1?="([\d.]+)%"', picture)[1]
        for name in ("null", "paper", "interval", "ours")
    }
    assert at == {"null": "30.0", "paper": "50.0", "interval": "40.0", "ours": "50.0"}
    assert "<text" not in picture


@pytest.mark.parametrize(
    ("value", "half", "size", "arrows", "dot"),
    [
        (2.0, 1.0, 1.0, "", True),
        (2.0, 2.0, 1.0, "›", True),
        (5.0, 4.5, 1.0, "»", False),
        (-6.0, 2.0, 1.0, "«", False),  # all of it is out there
        (-3.0, 9.0, 1.0, "«›", False),
        (6.0, 2.0, -1.0, "«", False),  # where the paper's effect lies below the null
    ],
)
def test_what_goes_beyond_the_scale_is_an_arrow_and_our_value_never_a_dot_elsewhere(value, half, size, arrows, dot):
    picture = on_the_papers_scale(made.effect("x", value, half), size)
    assert "".join(re.findall(">([‹›«»])<", picture)) == arrows
    assert ("<circle" in picture) is dot


def test_an_effect_without_an_interval_reaches_both_edges():
    open_ended = made.effect("x", 1.0, 1.0).model_copy(update={"low": None, "high": None})
    picture = on_the_papers_scale(open_ended, 1.0)
    assert "‹" in picture
    assert "›" in picture
