"""The paper's own numbers, with seeds around them, give the verdicts that its plots bear out, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.judging.simulated import PaperSeeds, effects_of, simulated, without_numbers
from harness.plan.catalogue import load_catalogue

CATALOGUE = load_catalogue(Path(__file__).parents[2] / "claims" / "catalogue.toml")
SPREAD = 0.25  # of the paper's own distance from the null
LOOKS = (3, 5, 8, 13)
RULES = [(claim, rule) for claim in CATALOGUE.claims.values() for rule in claim.rules]


def named(pair):
    claim, rule = pair
    return f"{claim.id} {rule.part}" if rule.part else claim.id


WITH_NUMBERS = [pair for pair in RULES if not without_numbers(pair[1])]
SOME_WRONG_WAY = [
    (claim, rule.model_copy(update={"effects": [effect.model_copy(update={"decides": True, "trained": False})]}))
    for claim, rule in RULES
    for effect in effects_of(rule)
    if effect.paper is not None and effect.paper < effect.null and not effect.decides
]


@pytest.mark.parametrize("pair", WITH_NUMBERS, ids=named)
def test_what_the_plots_show_is_reproduced(pair):
    verdicts = [simulated(*pair, PaperSeeds(SPREAD, seed), LOOKS).verdict for seed in range(20)]
    assert verdicts.count("reproduced") >= 19


@pytest.mark.parametrize("pair", WITH_NUMBERS, ids=named)
def test_the_opposite_of_what_the_plots_show_is_contradicted(pair):
    claim, rule = pair
    turned = [
        effect.model_copy(
            update={
                "paper": None if effect.paper is None else 2 * effect.null - effect.paper,
                "papers": {at: 2 * effect.null - paper for at, paper in effect.papers.items()},
            }
        )
        for effect in rule.effects
    ]
    opposite = rule.model_copy(update={"effects": turned})
    verdicts = [simulated(claim, opposite, PaperSeeds(SPREAD, seed), LOOKS).verdict for seed in range(20)]
    assert verdicts.count("contradicted") >= 19


@pytest.mark.parametrize("pair", SOME_WRONG_WAY, ids=lambda pair: f"{pair[0].id} {pair[1].effects[0].name}")
def test_what_the_text_says_and_the_plots_do_not_is_not_reproduced(pair):
    """Effects that are only reported, since the paper's own plots lie on the other side: had they to decide."""
    verdicts = {simulated(*pair, PaperSeeds(SPREAD, seed), LOOKS).verdict for seed in range(20)}
    assert "reproduced" not in verdicts


def test_most_rules_have_the_papers_numbers_and_some_plots_turn_against_the_text():
    assert len(WITH_NUMBERS) >= 25
    assert len(SOME_WRONG_WAY) >= 2
