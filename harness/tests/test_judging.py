from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.judging.effects import interval_of
from harness.judging.evidence import Effect
from harness.judging.statistics import SampleTable, difference_over_seeds, over_samples, over_seeds
from harness.judging.verdict import judge, seeds_needed
from harness.plan.catalogue import EffectRule
from harness.probes import PROBES
from harness.readings import nep

NUMBERS = st.lists(st.floats(-100, 100).map(lambda x: round(x, 3)), min_size=2, max_size=8)


def effect(low, high, *, null=0.0, decides=True, replicate="seed", n=3, name="rise"):
    return Effect(
        name=name,
        unit="nats",
        value=(low + high) / 2,
        low=low,
        high=high,
        level=0.95,
        n=n,
        replicate=replicate,
        null=null,
        decides=decides,
    )


# --- intervals ---------------------------------------------------------------------------------------------------


@given(NUMBERS)
def test_over_seeds_is_the_t_interval(values):
    interval = over_seeds(values)
    mean, error = np.mean(values), np.std(values, ddof=1) / math.sqrt(len(values))
    half = stats.t.ppf(0.975, len(values) - 1) * error
    assert interval.value == pytest.approx(mean, abs=1e-9)
    assert interval.low == pytest.approx(mean - half, abs=1e-6)
    assert interval.high == pytest.approx(mean + half, abs=1e-6)
    assert (interval.n, interval.replicate) == (len(values), "seed")


@pytest.mark.filterwarnings("error")
def test_a_side_without_spread_is_no_warning_and_counts_with_its_mean():
    values = [0.1, 0.2, 0.4]
    one, other = over_seeds(values), difference_over_seeds(values, [0.0, 0.0, 0.0])
    assert (other.value, other.low, other.high) == pytest.approx((one.value, one.low, one.high))


@given(NUMBERS, NUMBERS)
def test_the_difference_changes_sign_with_its_sides(one, other):
    forth, back = difference_over_seeds(one, other), difference_over_seeds(other, one)
    assert forth.value == pytest.approx(-back.value, abs=1e-9)
    assert forth.low == pytest.approx(-back.high, abs=1e-6)


def test_intervals_over_seeds_cover_the_truth_as_often_as_they_say():
    random = np.random.default_rng(0)
    hits = 0
    for _ in range(1000):
        interval = difference_over_seeds(random.normal(1, 1, 4), random.normal(0, 3, 4))
        hits += interval.low <= 1 <= interval.high
    assert 0.93 <= hits / 1000 <= 0.98


def spectrum(values, images=None):
    """A fourier table with one unit and two bins: `values` [sample] is the higher one."""
    rows = []
    for sample, value in enumerate(values):
        for label, amplitude in ((0.0, 0.0), (1.0, value)):
            rows.append(
                {
                    "unit": 0,
                    "name": "stem",
                    "kind": "stem",
                    "stage": 0,
                    "depth": 0.0,
                    "height": 4,
                    "width": 4,
                    "sample": sample,
                    "images": images[sample] if images else 1,
                    "frequency": label,
                    "label": label,
                    "delta_log_amplitude": amplitude,
                }
            )
    return SampleTable(pd.DataFrame(rows).sample(frac=1, random_state=0), PROBES["fourier"])


def last(table):
    return table[table.label == 1.0].delta_log_amplitude.iloc[0]


def test_a_table_is_averaged_with_the_images_as_weights():
    assert last(spectrum([1.0, 4.0], images=[1, 2]).mean()) == pytest.approx(3.0)
    assert last(spectrum([1.0, 4.0]).mean(np.array([1, 1]))) == pytest.approx(4.0)


def test_the_bootstrap_agrees_with_the_t_interval_on_many_normal_samples():
    values = np.random.default_rng(0).normal(2, 1, 200)
    interval = over_samples(last, [spectrum(values)])
    error = values.std(ddof=1) / math.sqrt(200)
    assert interval.value == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - 1.96 * error, abs=0.03)
    assert interval.high == pytest.approx(values.mean() + 1.96 * error, abs=0.03)
    assert (interval.n, interval.replicate) == (200, "image group")


def test_the_bootstrap_draws_the_same_images_for_both_networks():
    values = np.random.default_rng(0).normal(0, 50, 40)
    interval = over_samples(lambda one, other: last(one) - last(other), [spectrum(values + 1), spectrum(values)])
    assert interval.low == pytest.approx(1)
    assert interval.high == pytest.approx(1)


def test_no_spread_is_an_interval_of_no_width():
    assert over_seeds([2.0, 2.0]).low == 2.0
    assert over_samples(last, [spectrum([3.0] * 5)]).high == 3.0
    one_sample = over_samples(last, [spectrum([3.0])])
    assert (one_sample.low, one_sample.high) == (-math.inf, math.inf)


def signs(negative):
    """A hessian table: `negative` [mini-batch][eigenvalue], the same with and without l2."""
    rows = [
        {"sample": sample, "images": 16, "l2": l2, "rank": rank, "eigenvalue": 1.0 - 2 * value, "negative": value}
        | {"positive": 1 - value, "positive_part": 1.0 - value}
        for sample, values in enumerate(negative)
        for l2 in (False, True)
        for rank, value in enumerate(values, 1)
    ]
    return SampleTable(pd.DataFrame(rows), PROBES["hessian"])


def test_a_share_is_known_to_one_in_the_number_of_values_it_is_counted_over():
    assert signs([[0, 0, 1, 0, 0], [0, 1, 0, 0, 0]]).step == 1 / 10
    assert spectrum([1.0, 2.0]).step == 0
    with_step, without = over_seeds([0.2, 0.2, 0.2], step=0.1), over_seeds([0.2, 0.2, 0.2])
    assert (without.low, without.high) == pytest.approx((0.2, 0.2))
    half = stats.t.ppf(0.975, 2) * 0.1 / math.sqrt(12) / math.sqrt(3)
    assert (with_step.value, with_step.low, with_step.high) == pytest.approx((0.2, 0.2 - half, 0.2 + half))
    both = difference_over_seeds([0.2] * 3, [0.0] * 3, step=0.1)
    half = stats.t.ppf(0.975, 4) * 0.1 / math.sqrt(12) * math.sqrt(2 / 3)
    assert (both.low, both.high) == pytest.approx((0.2 - half, 0.2 + half))
    alone = over_samples(nep, [signs([[0] * 5] * 4)], step=1 / 20)
    assert (alone.value, alone.high) == pytest.approx((0, 1.96 * 0.05 / math.sqrt(12)), rel=1e-3)


@pytest.mark.parametrize(("unit", "width"), [("share", 0.0717), ("nats", 0.0)])
def test_only_the_interval_of_a_share_is_widened_to_its_step(unit, width):
    rule = EffectRule(name="NEP", unit=unit, null=0.0, decides=True)
    tables = [[signs([[0, 0, 1, 0, 0], [0, 1, 0, 0, 0]])] for _ in range(3)]
    interval = interval_of(rule, nep, tables, nep, None)
    assert interval.value == pytest.approx(0.2)
    assert interval.high - interval.value == pytest.approx(width, abs=1e-4)


@given(NUMBERS)
def test_a_step_never_narrows_an_interval(values):
    without, fine, coarse = over_seeds(values), over_seeds(values, step=1e-9), over_seeds(values, step=100.0)
    assert (fine.low, fine.high) == pytest.approx((without.low, without.high), abs=1e-6)
    assert coarse.high - coarse.low >= (without.high - without.low) * (1 - 1e-9)


# --- verdicts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("effects", "verdict"),
    [
        ([effect(0.1, 1)], "reproduced"),
        ([effect(-1, 1)], "inconclusive"),
        ([effect(-1, -0.1)], "contradicted"),
        ([effect(0.1, 1), effect(-1, 1)], "inconclusive"),
        ([effect(0.1, 1), effect(-2, -1)], "contradicted"),
        ([effect(-1, 1), effect(-2, -1)], "contradicted"),
        ([effect(0.8, 0.9, null=0.75)], "reproduced"),
        ([effect(0.5, 0.7, null=0.75)], "contradicted"),
        ([effect(0.0, 1.0)], "inconclusive"),
        ([effect(0.1, 1), effect(-2, -1, decides=False)], "reproduced"),
        ([effect(-math.inf, math.inf)], "inconclusive"),
    ],
)
def test_the_rule(effects, verdict):
    found, reason = judge(effects)
    assert found == verdict
    assert reason.endswith(".")
    assert "\n" not in reason


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0, 3)), min_size=1, max_size=4))
def test_reproduced_means_above_and_contradicted_means_below(pairs):
    effects = [effect(middle - half, middle + half) for middle, half in pairs]
    verdict, _ = judge(effects)
    mirrored, _ = judge([effect(-e.high, -e.low) for e in effects])
    if verdict == "reproduced":
        assert min(e.low for e in effects) > 0
        assert mirrored == "contradicted"
    if verdict == "contradicted":
        assert min(e.high for e in effects) < 0
    if verdict == "inconclusive":
        assert any(e.low <= 0 <= e.high for e in effects)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.2, 3), st.integers(2, 6))
def test_the_seeds_needed_would_have_decided(distance, n):
    half = distance * 1.5
    needed = seeds_needed(effect(distance - half, distance + half, n=n))
    if needed is None:
        return
    spread = half / (stats.t.ppf(0.975, n - 1) / math.sqrt(n))
    assert spread * stats.t.ppf(0.975, needed - 1) / math.sqrt(needed) < distance
    if needed > n + 1:
        assert spread * stats.t.ppf(0.975, needed - 2) / math.sqrt(needed - 1) >= distance


def test_inconclusive_says_what_would_decide():
    assert "seeds of the same spread" in judge([effect(-0.5, 1.5)])[1]
    assert "several seeds instead of one" in judge([effect(-0.5, 1.5, replicate="image")])[1]
    assert "not even 100 seeds" in judge([effect(-1, 1.0001)])[1]
