"""The paper against itself: which cases stand on which side, and what a reader sees of them."""

from __future__ import annotations

import html
import re

import pytest

from harness import report
from harness.judging.evidence import write_evidence
from harness.report.questions import questions
from harness.report.summary import summarise
from harness.tests import report_fixtures as made

DISPUTED = made.CATALOGUE.replace(
    "[L4]\n", '[L4]\ntext_against_plot = "The text says it falls; the plot rises from -0.5."\n', 1
)
FAIR = """
[D3]
group = "alternet"
title = "A fair control"
statement = "AlterNet is more accurate than a ResNet of its size."
figure = "Fig 12b"
dataset = "cifar100"
epochs = 305
models = {alternet = "alter_resnet50", resnet = "preact_resnet50"}
[[D3.rules]]
part = "size"
text = "Above zero."
effects = [{name = "gain over equal size", unit = "pp", null = 0.0, decides = true}]
"""


@pytest.fixture
def claims(tmp_path):
    return made.catalogue(tmp_path, DISPUTED + FAIR)


def judge(results, claims, claim, value, **changes):
    name = claims[claim].rules[0].effects[0].name
    mine = made.evidence(claims, claim, [made.effect(name, value, 0.5, unit="pp")], **changes)
    write_evidence(results, "digits", mine)


def test_the_papers_comparison_stands_beside_the_fair_one(tmp_path, claims):
    results = tmp_path / "set"
    judge(results, claims, "A2", 1.25)
    judge(results, claims, "D3", -0.75, part="size", verdict="inconclusive")
    (found,) = questions(summarise(results, claims))
    assert [(side.title, [section.id for section, _ in side.cases]) for side in found.sides] == [
        ("The paper's comparison", ["A2"]),
        ("The fair ones", ["D3"]),
    ]
    page = report.build(results, claims).read_text()
    asked = html.unescape(page[page.index('id="questions"') : page.index('id="judged"')])
    assert re.findall(r'class="id">(\w+)<', asked) == ["A2", "D3"]
    text = " ".join(re.sub(r"<[^>]+>", " ", asked).split())
    assert "accuracy gain 1.25 [0.75, 1.75] pp 1.54" in text
    assert "gain over equal size \N{MINUS SIGN}0.75 [\N{MINUS SIGN}1.25, \N{MINUS SIGN}0.25] pp –" in text


def test_words_stand_against_plots_with_what_was_found(tmp_path, claims):
    results = tmp_path / "set"
    judge(results, claims, "L4", 3.0)
    (found,) = questions(summarise(results, claims))
    assert (found.claim.id, found.text) == ("L4", "The text says it falls; the plot rises from -0.5.")
    page = report.build(results, claims).read_text()
    assert page.count("the plot rises from \N{MINUS SIGN}0.5.") == 2  # here, and with its claim


def test_nothing_is_asked_of_what_was_not_judged(tmp_path, claims):
    results = tmp_path / "set"
    judge(results, claims, "L4", 3.0, verdict="not run")
    assert questions(summarise(results, claims)) == []
    assert 'id="questions"' not in report.build(results, claims).read_text()
