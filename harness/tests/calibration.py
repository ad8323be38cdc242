"""Made-up reproductions for tests and benchmarks of the judge."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness.judging.simulated import frequencies
from harness.plan.catalogue import Claim, EffectRule, Rule, load_catalogue

LOOKS = [(3,), (3, 5), (3, 5, 8), (3, 5, 8, 13)]
COUNTS = [1, 2, 3, 4, 5]
# How the numbers of seeds are spread: one network's, or two networks' that are compared. Skewness is 1.
SEEDS = [f"{shape}{pairing}" for shape in ("normal", "skewed") for pairing in ("", ", paired", ", Welch")]


def claim() -> Claim:
    return load_catalogue(Path(__file__).parents[2] / "claims" / "catalogue.toml")["L2"]


def rule(effects: int, *, paired: bool) -> Rule:
    names = [f"effect {number}" for number in range(effects)]
    return Rule(
        text="", effects=[EffectRule(name=name, unit="nats", null=0.0, decides=True, paired=paired) for name in names]
    )


class Seeds:
    """Draws effects of these sizes, in standard deviations of one seed."""

    def __init__(self, kind: str, sizes: dict[str, float], seed: int):
        self.shape, _, self.pairing = kind.partition(", ")
        self.sizes, self.random = sizes, np.random.default_rng(seed)

    def __call__(self, effect, seeds, *, untrained):
        size = self.sizes[effect.name]
        if not self.pairing:
            return size + self.noise(seeds), None
        # The difference of two networks has the standard deviation 1.
        return size + self.noise(seeds) / np.sqrt(2), self.noise(seeds) / np.sqrt(2)

    def noise(self, seeds):
        if self.shape == "normal":
            return self.random.normal(size=seeds)
        return (self.random.gamma(4, size=seeds) - 4) / 2


def calibrate(looks, seeds, effects, *, cases, seed=0):
    """Shares of false `reproduced` and of false `contradicted`."""
    judged_by = rule(effects, paired=seeds.endswith("paired"))
    names = [effect.name for effect in judged_by.effects]
    one_absent = dict.fromkeys(names, 100.0) | {names[0]: 0.0}
    absent = frequencies(claim(), judged_by, Seeds(seeds, one_absent, seed), looks, cases)
    bare = frequencies(claim(), judged_by, Seeds(seeds, dict.fromkeys(names, 0.0), seed + 1), looks, cases)
    return absent.get("reproduced", 0.0), bare.get("contradicted", 0.0)


def power(size, looks, *, cases, seed=0):
    """Share of cases in which an effect of this size is found, and the seeds that this took on average."""
    judged_by = rule(1, paired=True)
    found = frequencies(claim(), judged_by, Seeds("normal, paired", {"effect 0": size}, seed), looks, cases)
    return found.get("reproduced", 0.0), found["seeds"]
