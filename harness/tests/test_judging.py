"""Estimates against scipy and simulations; looks against published tables; verdicts by hand and by their properties."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.judging.evidence import PremiseRecord, shown_bounds
from harness.judging.looks import Look, boundaries, levels, sequence
from harness.judging.statistics import SKEWED, Error, Estimate, Replicate, SampleTable, estimate, jackknife, over_draws
from harness.judging.verdict import detectable, judge, p_value, seeds_to_decide
from harness.judging.weigh import as_effect, differences
from harness.plan.catalogue import EffectRule
from harness.probes import PROBES
from harness.readings import nep

NUMBERS = st.lists(st.floats(-100, 100).map(lambda x: round(x, 3)), min_size=2, max_size=8)
PAIRS = st.lists(st.tuples(*[st.floats(-100, 100).map(lambda x: round(x, 3))] * 2), min_size=2, max_size=8)
ONE_LOOK = Look(3, (3,))


def over_seeds(ones, others=None, *, paired=False, variance=0.0, step=0.0, samples=32):
    pairs = zip(ones, others if others is not None else [None] * len(ones), strict=True)
    found = [Replicate(one, other, variance, step, samples, "image") for one, other in pairs]
    return estimate(found, paired=paired)


def rule(*, null=0.0, decides=True, paper=None, name="rise", unit="nats", within=None):
    return EffectRule(name=name, unit=unit, null=null, decides=decides, paper=paper, within=within)


def effect(low, high, *, n=3, look=ONE_LOOK, **about):
    """By its interval over seeds at the level of the look."""
    half = (high - low) / 2
    size = half / stats.t.ppf((1 + look.level) / 2, n - 1) if math.isfinite(half) else math.inf
    middle = (low + high) / 2 if math.isfinite(half) else 0.0
    return as_effect(rule(**about), Estimate(middle, Error(size, n - 1), n, "seed"), look)


# --- estimates ----------------------------------------------------------------------------------------------------

OF_ONE_NETWORK = 1 - 2 * 0.025 ** (4 / 3)  # the level of Student's t where 95 % is asked for, and seeds may be skewed


@given(NUMBERS)
def test_over_seeds_is_the_t_interval(values):
    """Of one network's numbers, which may be skewed, with less error than is asked for; of draws with all."""
    mean, size = np.mean(values), np.std(values, ddof=1) / math.sqrt(len(values))
    found = over_seeds(values), over_draws(values, "random draw")
    for each, level in zip(found, (OF_ONE_NETWORK, 0.95), strict=True):
        half = stats.t.ppf((1 + level) / 2, len(values) - 1) * size
        assert each.value == pytest.approx(mean, abs=1e-9)
        assert each.interval(0.95) == pytest.approx((mean - half, mean + half), abs=1e-6)
        assert each.cautious(0.95) == pytest.approx(level)
    assert [(each.n, each.replicate) for each in found] == [(len(values), "seed"), (len(values), "random draw")]


@given(PAIRS)
def test_two_networks_are_compared_by_welch_or_pair_by_pair(pairs):
    one, other = map(np.array, zip(*pairs, strict=True))
    apart, together = over_seeds(one, other), over_seeds(one, other, paired=True)
    assert apart.value == pytest.approx(together.value, abs=1e-9)
    if one.std() > 1e-3 or other.std() > 1e-3:
        theirs = stats.ttest_ind(one, other, equal_var=False)
        assert apart.interval(0.9) == pytest.approx(tuple(theirs.confidence_interval(0.9)), rel=1e-6, abs=1e-6)
        assert 2 * min(apart.chance(0, above=True), apart.chance(0, above=False)) == pytest.approx(theirs.pvalue)
    if (one - other).std() > 1e-3:
        theirs = stats.ttest_rel(one, other)
        assert together.interval(0.9) == pytest.approx(tuple(theirs.confidence_interval(0.9)), rel=1e-6, abs=1e-6)


@given(NUMBERS, st.floats(-100, 100), st.sampled_from([0.9, 0.95, 0.9885]))
def test_an_interval_excludes_a_bound_exactly_where_the_p_value_says_so(values, bound, level):
    for found in (over_seeds(values), over_seeds(values, variance=30.0)):
        low, high = found.interval(level)
        error = (1 - level) / 2
        if abs(low - bound) > 1e-6 and abs(high - bound) > 1e-6:
            assert (low > bound) == (found.chance(bound, above=True) < error)
            assert (high < bound) == (found.chance(bound, above=False) < error)


@pytest.mark.filterwarnings("error")
def test_a_side_without_spread_is_no_warning_and_counts_with_its_mean():
    values = [0.1, 0.2, 0.4]
    one, other = over_seeds(values), over_seeds(values, [0.0, 0.0, 0.0])
    assert (other.value, *other.interval(OF_ONE_NETWORK)) == pytest.approx((one.value, *one.interval(0.95)))


def test_the_prediction_of_one_more_run_holds_as_often_as_it_says():
    random = np.random.default_rng(0)
    draws = random.normal(1, 2, (2000, 5))
    inside = [low <= 1 + 2 * new <= high for draw, new in zip(draws, random.normal(0, 1, 2000), strict=True)
              for low, high in [over_seeds(draw[:4]).predicted()]]  # fmt: skip
    assert 0.935 <= np.mean(inside) <= 0.965


@pytest.mark.parametrize("between", [0.75, 0.05])  # of the variance: log APE and NEP on `mini`
@pytest.mark.parametrize("n", [3, 5, 8, 13])
def test_intervals_over_seeds_cover_the_truth_as_often_as_they_say(between, n):
    random = np.random.default_rng(n)
    hits, cases, groups = 0, 4000, 8
    for _ in range(cases):
        values = random.normal(1, math.sqrt(between), n) + random.normal(0, math.sqrt(1 - between), n)
        within = (1 - between) * random.chisquare(groups - 1) / (groups - 1)
        low, high = over_seeds(values + 3, np.full(n, 3.0), paired=True, variance=within).interval(0.95)
        hits += low <= 1 <= high
    assert 0.935 <= hits / cases <= 0.97


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


def test_the_jackknife_of_a_mean_is_its_squared_standard_error():
    values = np.random.default_rng(0).normal(2, 1, 32)
    expected = values.var(ddof=1) / 32
    assert jackknife(last, [spectrum(values)], 32) == pytest.approx(expected)
    # Eight groups of four: the means of the groups are the data.
    groups = np.array([values[group::8].mean() for group in range(8)])
    assert jackknife(last, [spectrum(values)], 8) == pytest.approx(groups.var(ddof=1) / 8)


def test_the_jackknife_leaves_out_the_same_images_of_both_networks():
    values = np.random.default_rng(0).normal(0, 50, 40)
    both = [spectrum(values + 1), spectrum(values)]
    assert jackknife(lambda one, other: last(one) - last(other), both, 8) == pytest.approx(0, abs=1e-20)


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


def test_different_probes_are_left_out_independently():
    values = np.random.default_rng(0).normal(0, 1, 16)
    negative = np.random.default_rng(1).integers(0, 2, (16, 5)).tolist()
    spectra, signed = spectrum(values), signs(negative)
    both = jackknife(lambda one, other: last(one) + nep(other), [spectra, signed], 8)
    assert both == pytest.approx(jackknife(last, [spectra], 8) + jackknife(nep, [signed], 8))


def test_a_single_sample_has_no_sampling_error_and_leaves_that_of_the_seeds():
    assert math.isnan(jackknife(last, [spectrum([3.0])], 8))
    assert over_seeds([1.0, 2.0, 3.0], variance=math.nan).interval(0.95) == over_seeds([1.0, 2.0, 3.0]).interval(0.95)


def test_no_interval_is_narrower_than_the_error_by_the_choice_of_samples():
    found = over_seeds([0.2, 0.2, 0.2], variance=0.03)
    assert found.interval(0.5) == pytest.approx((0.1, 0.3))
    assert found.between == 0 if found.spread.size else found.between is None
    assert over_seeds([1.0, 3.0], variance=0.5).between == pytest.approx(0.75)


def test_one_network_is_judged_by_its_samples_if_there_are_sixteen():
    values = np.random.default_rng(0).normal(2, 1, 64)
    table = spectrum(values)
    alone = estimate([Replicate(last(table.mean()), None, jackknife(last, [table], 32), 0.0, 64, "image")], paired=True)
    groups = np.array([values[group::32].mean() for group in range(32)])
    theirs = stats.ttest_1samp(groups, 0).confidence_interval(0.95)
    assert alone.interval(0.95) == pytest.approx(tuple(theirs))
    assert (alone.n, alone.replicate, alone.spread) == (64, "image", None)
    few = estimate([Replicate(5.0, None, 0.1, 0.0, 15, "image")], paired=True)
    assert few.interval(0.95) == (-math.inf, math.inf)
    assert judge([as_effect(rule(), few, Look(1, (1,)))], (), Look(1, (1,)))[0] == "inconclusive"


def test_a_single_seed_of_several_planned_decides_nothing_however_many_samples_it_has():
    one = estimate([Replicate(5.0, None, 0.01, 0.0, 64, "mini-batch")], paired=True)
    effects = {looks: as_effect(rule(), one, Look(1, looks), one) for looks in [(1,), (1, 3, 5)]}
    planned, early = effects[1,], effects[1, 3, 5]
    verdict, reason = judge([early], (), Look(1, (1, 3, 5)))
    assert verdict == "inconclusive"
    assert reason == "'rise' has no interval; a single seed says nothing of others; the next look is at 3 seeds."
    assert (early.value, early.low, early.high, early.n, early.replicate, early.by_seed) == (
        5.0, None, None, 1, "seed", [5.0],
    )  # fmt: skip
    assert (early.untrained.low, early.untrained.high, early.untrained.n) == (None, None, 1)
    assert judge([planned], (), Look(1, (1,)))[0] == "reproduced"
    below = as_effect(rule(null=5.0), one, Look(1, (1,)))
    assert "drawn from 64 mini-batches of one network each" in judge([below], (), Look(1, (1,)))[1]


def test_a_share_is_known_to_one_in_the_number_of_values_it_is_counted_over():
    assert signs([[0, 0, 1, 0, 0], [0, 1, 0, 0, 0]]).step == 1 / 10
    assert spectrum([1.0, 2.0]).step == 0
    with_step, without = over_seeds([0.2] * 3, step=0.1), over_seeds([0.2] * 3)
    assert without.interval(0.95) == pytest.approx((0.2, 0.2))
    half = stats.t.ppf((1 + OF_ONE_NETWORK) / 2, 2) * 0.1 / math.sqrt(12) / math.sqrt(3)
    assert with_step.interval(0.95) == pytest.approx((0.2 - half, 0.2 + half))
    half = stats.t.ppf(0.975, 4) * 0.1 / math.sqrt(12) * math.sqrt(2 / 3)
    assert over_seeds([0.2] * 3, [0.0] * 3, step=0.1).interval(0.95) == pytest.approx((0.2 - half, 0.2 + half))
    half = stats.t.ppf(0.975, 2) * 0.1 / math.sqrt(6) / math.sqrt(3)
    both = over_seeds([0.2] * 3, [0.0] * 3, step=0.1, paired=True)
    assert both.interval(0.95) == pytest.approx((0.2 - half, 0.2 + half))


@given(NUMBERS)
def test_a_step_never_narrows_an_interval(values):
    without, fine, coarse = (over_seeds(values, step=step).interval(0.95) for step in (0.0, 1e-9, 100.0))
    assert fine == pytest.approx(without, abs=1e-6)
    assert coarse[1] - coarse[0] >= (without[1] - without[0]) * (1 - 1e-9)


# --- looks --------------------------------------------------------------------------------------------------------

FIFTHS = [0.2, 0.4, 0.6, 0.8, 1.0]


@pytest.mark.parametrize(
    ("spending", "published"),  # five equal looks at two-sided 5 %: Lan & DeMets 1983, and the program LANDEM of theirs
    [
        (lambda t: 4 * stats.norm.sf(stats.norm.ppf(0.9875) / math.sqrt(t)), [4.8769, 3.3570, 2.6803, 2.2898, 2.0310]),
        (lambda t: 0.05 * math.log(1 + (math.e - 1) * t), [2.4380, 2.4268, 2.4102, 2.3966, 2.3860]),
    ],
    ids=["O'Brien-Fleming", "Pocock"],
)
def test_boundaries_are_the_published_ones(spending, published):
    assert boundaries(FIFTHS, [spending(share) for share in FIFTHS]) == pytest.approx(published, abs=6e-5)


def test_the_levels_of_the_usual_looks():
    assert [100 * level for level in levels((3, 5, 8, 13))] == pytest.approx([98.85, 98.87, 98.30, 97.15], abs=0.006)
    assert levels((3,)) == pytest.approx([0.95])


def test_all_looks_together_err_as_often_as_they_may():
    seeds = (3, 5, 8, 13)
    values = np.random.default_rng(0).normal(0, 1, (200_000, 13))
    bounds = boundaries([n / 13 for n in seeds], [0.05 * n / 13 for n in seeds])
    outside = [np.abs(values[:, :n].sum(1)) / math.sqrt(n) > bound for n, bound in zip(seeds, bounds, strict=True)]
    assert np.logical_or.reduce(outside).mean() == pytest.approx(0.05, abs=0.002)


@pytest.mark.parametrize("tests", [1, 2, 5])
def test_several_tests_share_the_error_of_all_looks(tests):
    seeds = np.array((3, 5, 8, 13))
    looks = sequence((3, 5, 8, 13))
    of_means = stats.multivariate_normal(cov=np.sqrt(np.minimum.outer(seeds, seeds) / np.maximum.outer(seeds, seeds)))

    def crossed(errors):
        return 1 - of_means.cdf(stats.norm.isf(errors), rng=np.random.default_rng(0))

    assert crossed([look.error(tests) for look in looks]) == pytest.approx(0.025 / tests, rel=0.005)
    # Divided look by look the errors would add up to more.
    divided = crossed([(1 - look.level) / 2 / tests for look in looks])
    assert divided == pytest.approx(0.025, rel=0.005) if tests == 1 else divided > 1.03 * 0.025 / tests


@pytest.mark.parametrize("tests", [1, 5])
def test_skewed_seeds_err_no_more_than_they_may_at_all_looks_together(tests):
    looks = sequence((3, 5, 8, 13))
    values = (np.random.default_rng(2).gamma(4, size=(200_000, 13)) - 4) / 2  # of skewness 1
    wrong, bare = np.zeros(len(values), bool), np.zeros(len(values), bool)
    for look in looks:
        below = stats.ttest_1samp(values[:, : look.seeds], 0, axis=1, alternative="less").pvalue
        wrong |= below**SKEWED < look.error(tests)
        bare |= below < look.error(tests)
    assert tests * wrong.mean() <= 0.026
    assert tests * bare.mean() >= 0.06


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
        ([effect(-0.001, 1.0)], "inconclusive"),
        ([effect(0.1, 1), effect(-2, -1, decides=False)], "reproduced"),
        ([effect(-math.inf, math.inf)], "inconclusive"),
        # Alone it lies below; one of five may do so by chance.
        ([effect(-1, -0.01), *[effect(0.1, 1)] * 4], "inconclusive"),
        ([effect(-1, -0.8), *[effect(0.1, 1)] * 4], "contradicted"),
        # The paper says 4: what lies within -1 and 1 is not that.
        ([effect(-0.5, 0.7, paper=4.0)], "negligible"),
        ([effect(-0.5, 1.2, paper=4.0)], "inconclusive"),
        ([effect(0.1, 0.7, paper=4.0)], "reproduced"),
        ([effect(-1.2, -0.1, paper=4.0)], "contradicted"),
        ([effect(0.3, 0.9, null=0.5, paper=2.5)], "negligible"),
    ],
)
def test_the_rule(effects, verdict):
    found, reason = judge(effects, (), ONE_LOOK)
    assert found == verdict
    assert reason.endswith(".")
    assert "\n" not in reason


@given(st.lists(st.floats(0, 1), min_size=2, max_size=5), st.sampled_from([None, (0.0, 1.0)]))
def test_an_interval_is_shown_within_what_its_number_can_be_and_judged_as_it_is(shares, within):
    found = as_effect(rule(unit="share", within=within), over_seeds(shares), ONE_LOOK)
    least, most = within or (-1.0, 1.0)
    low, high = shown_bounds(found)
    assert least - 1e-9 <= low - 1e-9 <= found.value <= high + 1e-9 <= most + 1e-9
    assert (low, high) == (max(found.low, least), min(found.high, most))
    anything = as_effect(rule(), over_seeds(shares), ONE_LOOK)
    assert shown_bounds(anything) == (anything.low, anything.high) == (found.low, found.high)
    assert judge([found], (), ONE_LOOK)[0] == judge([anything], (), ONE_LOOK)[0]
    assert shown_bounds(found.model_copy(update={"low": None, "high": None})) == (None, None)


def test_what_training_adds_to_a_share_may_be_all_of_it_to_either_side():
    assert differences((0.0, 1.0)) == (-1.0, 1.0)
    assert differences((-0.98, 0.02)) == (-1.0, 1.0)
    assert differences(None) is None


def test_a_case_whose_premise_fails_is_out_of_scope_whatever_its_effects():
    fails = PremiseRecord(name="test accuracy of vit", unit="share", value=0.1, least=0.2, holds=False)
    holds = PremiseRecord(name="test accuracy of resnet", unit="share", value=0.9, least=0.2, holds=True)
    for effects in ([effect(0.1, 1)], [effect(-1, -0.1)]):
        verdict, reason = judge(effects, [holds, fails], ONE_LOOK)
        assert (verdict, reason) == (
            "out of scope",
            "test accuracy of vit is 0.1 share, and has to be at least 0.2.",
        )
    assert judge([effect(0.1, 1)], [holds], ONE_LOOK)[0] == "reproduced"


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0.01, 3)), min_size=1, max_size=4))
def test_reproduced_means_all_above_and_contradicted_that_one_lies_below(pairs):
    assume(all(abs(abs(middle) - half) > 1e-6 for middle, half in pairs))  # a bound on its null may fall to either side
    effects = [effect(middle - half, middle + half) for middle, half in pairs]
    verdict, _ = judge(effects, (), ONE_LOOK)
    if verdict == "reproduced":
        assert min(each.low for each in effects) > 0
        turned = [effect(-each.high, -each.low) for each in effects]
        # All have to lie above, and none needs a correction; that one lies below may be chance.
        corrected = p_value("contradicted", turned) < 0.025
        assert judge(turned, (), ONE_LOOK)[0] == ("contradicted" if corrected else "inconclusive")
    if verdict == "contradicted":
        assert min(each.high for each in effects) < 1e-9
        assert p_value(verdict, effects) <= 0.025 + 1e-9
    if verdict == "inconclusive":
        assert any(each.low <= 0 for each in effects)
        assert p_value(verdict, effects) is None


def test_holm_is_that_of_statsmodels_first_step():
    """Whether any hypothesis is rejected: by the smallest p-value against the error divided by their number."""
    below = [0.008, 0.2, 0.9]
    effects = [effect(-1, 1).model_copy(update={"below": p, "low": -1.0}) for p in below]
    assert judge(effects, (), ONE_LOOK)[0] == "contradicted"  # 0.008 <= 0.025 / 3
    effects[0] = effects[0].model_copy(update={"below": 0.009})
    assert judge(effects, (), ONE_LOOK)[0] == "inconclusive"


@settings(max_examples=30, deadline=None)
@given(st.floats(0.2, 3), st.integers(3, 8))
def test_seeds_to_decide_lie_between_this_look_and_the_last(distance, n):
    look = Look(n, (n, 50))
    needed = seeds_to_decide([effect(distance - 1.5 * distance, distance + 1.5 * distance, n=n, look=look)], look)
    assert n < needed <= 50


def test_inconclusive_says_what_this_design_finds_and_which_look_is_next():
    first, last_one = sequence((3, 5))
    reason = judge([effect(-0.5, 1.5, look=first)], (), first)[1]
    assert "contains 0; 3 seeds find" in reason
    assert reason.endswith("the next look is at 5 seeds.")
    assert judge([effect(-0.5, 1.5, n=5, look=last_one)], (), last_one)[1].endswith("this was the last look.")


@pytest.mark.parametrize(
    ("low", "high", "against_untrained", "says"),
    [
        (-0.5, 1.5, False, "'open': 0.5 nats [-0.5, 1.5] contains 0; "),
        (
            -2,
            -0.1,
            False,
            "'open': -1.05 nats [-2, -0.1] lies below 0, but not after Holm's correction over 3 effects; ",
        ),
        (-2, -0.1, True, "[-2, -0.1] lies below 0: untrained networks show more of it, which contradicts nothing; "),
        (-math.inf, math.inf, False, "'open' has no interval; "),
    ],
)
def test_inconclusive_says_where_the_interval_of_the_open_effect_lies(low, high, against_untrained, says):
    effects = [effect(0.5, 1.5), effect(low, high, name="open"), effect(1, 2)]
    effects[1] = effects[1].model_copy(update={"against_untrained": against_untrained})
    verdict, reason = judge(effects, (), ONE_LOOK)
    assert verdict == "inconclusive"
    assert says in reason


@pytest.mark.parametrize(("others", "size"), [(np.zeros(8), 1.157), (None, 1.496)])  # of two networks, of one
def test_what_is_said_to_be_found_with_80_percent_power_is_found_that_often(others, size):
    random, look = np.random.default_rng(0), Look(8, (8,))

    def found():
        return as_effect(rule(), over_seeds(random.normal(size, 1, 8), others, paired=True), look)

    effects = [found() for _ in range(2000)]
    assert np.mean([judge([each], (), look)[0] == "reproduced" for each in effects]) == pytest.approx(0.8, abs=0.035)
    assert np.median([detectable(each) for each in effects]) == pytest.approx(size, rel=0.1)


def test_most_of_the_variance_within_seeds_asks_for_more_samples():
    seeds = over_seeds([-1.0, 0.5, 1.0], variance=0.9)
    assert (
        "more samples of each network would help most" in judge([as_effect(rule(), seeds, ONE_LOOK)], (), ONE_LOOK)[1]
    )
