"""Two result sets compared: what was planted is found, what is chance is not, and the false alarms are counted."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from harness.__main__ import main
from harness.errors import HarnessError
from harness.judging.comparison import compare, read_set
from harness.judging.evidence import CaseRecord, LookRecord, PremiseRecord, RuleRecord, write_evidence
from harness.judging.looks import Look
from harness.judging.shift import ERROR, Shift, chance, corrected, error_of, moved, relation
from harness.judging.simulated import simulated
from harness.judging.statistics import Replicate, estimate
from harness.judging.weigh import as_effect
from harness.report.changes import changes
from harness.store.provenance import hardware, repeats_exactly
from harness.tests import calibration
from harness.tests import report_fixtures as made

ROOT = Path(__file__).parents[2]
QUICK = ROOT / "results" / "reference" / "quick"
OLD = Path(__file__).parent / "kept_schema_1"
RULE = calibration.rule(1, paired=True).effects[0]
LOOK = Look(5, (5,))


def effect_of(values, rule=RULE, look=None, **changes):
    """As the judge makes it of what the seeds say."""
    found = estimate([Replicate(value, None, 0.0, 0.0, 32, "image") for value in values], paired=True)
    return as_effect(rule, found, look or Look(len(values), (len(values),))).model_copy(update=changes)


@pytest.fixture(scope="module")
def blank(tmp_path_factory):
    return made.evidence(made.catalogue(tmp_path_factory.mktemp("claims")), "L4", [])


@pytest.fixture
def case(blank):
    """Evidence on these effects of one name each; runs of `run`, on `device`, measured at `when`."""

    def make(*effects, verdict="reproduced", run="a", seeds=5, device="cpu", when="once", **changes):
        record = CaseRecord(dataset="digits", dataset_title="Digits", models={"vit": "v"}, seeds=list(range(seeds)))
        ids = [f"{run}{seed}" for seed in range(seeds)]
        provenance = blank.provenance.model_copy(update={"run_ids": ids, "device": device, "started": when})
        fields = {"effects": list(effects), "verdict": verdict, "case": record, "provenance": provenance}
        return blank.model_copy(update={**fields, **changes})

    return make


def pair(before, after):
    (found,) = compare({("L4", "digits"): before}, {("L4", "digits"): after}).pairs
    return found


HIGH, SAME, LOW = [9.0, 10.0, 11.0, 10.5, 9.5], [10.4, 9.2, 10.9, 9.8, 9.7], [-9.0, -10.0, -11.0, -10.5, -9.5]


def test_a_planted_flip_and_a_planted_shift_stand_in_this_order_and_others_are_silent(
    case, tmp_path, monkeypatch, capsys
):
    """The shift is in a claim whose verdict stays."""
    sets = {
        "before": {"L1": (HIGH, "reproduced"), "L2": (HIGH, "reproduced"), "A2": (HIGH, "reproduced")},
        "after": {
            "L1": (SAME, "reproduced"),
            "L2": ([4.0, 5.0, 4.4, 5.2, 4.6], "reproduced"),
            "A2": (LOW, "contradicted"),
        },
    }
    for name, cases in sets.items():
        for claim, (values, verdict) in cases.items():
            made_up = case(effect_of(values), verdict=verdict, run=name + claim, claim=claim)
            write_evidence(tmp_path / name, "digits", made_up)
    monkeypatch.setattr("sys.argv", ["harness", "compare", str(tmp_path / "before"), str(tmp_path / "after")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    printed = capsys.readouterr().out
    flip, shift = printed.index("agrees -> disagrees"), printed.index("'effect 0' shifted against the claim", 250)
    assert printed.index("A2") < flip < printed.index("L2") < shift
    assert printed.count("REGRESSION") == 3  # the flip is a shift, too
    assert "L1" not in printed
    assert "1 verdict turned, 2 effects shifted, 2 cases with a regression" in " ".join(printed.split())
    monkeypatch.setattr(
        "sys.argv", ["harness", "compare", str(tmp_path / "before" / "evidence"), str(tmp_path / "before")]
    )
    main()
    assert len(capsys.readouterr().out.splitlines()) <= 2


def test_a_shift_towards_the_claim_is_shown_and_no_regression(case):
    found = pair(case(effect_of(HIGH)), case(effect_of([20.0, 21.0, 19.0, 20.5, 19.5]), run="b"))
    assert len(found.shifted) == 1
    assert found.regressions == []


def test_a_verdict_at_its_edge_that_goes_with_the_seeds_is_shown_and_no_regression(case):
    edge = effect_of([1.0, 3.0, 1.9, 1.4, 2.0]), effect_of([-0.4, 2.9, 1.4, 0.3, 1.2])
    assert edge[0].low > 0 > edge[1].low
    before, after = case(edge[0]), case(edge[1], verdict="inconclusive", run="b")
    found = compare({("L4", "digits"): before}, {("L4", "digits"): after})
    assert found.regressions == []
    assert "no regression: no effect moved by more than chance moves it" in changes(found, 120)


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ({"verdict": "inconclusive"}, ["the same runs are now inconclusive"]),
        ({"verdict": "out of scope", "run": "b"}, ["a premise no longer holds"]),
        ({"verdict": "out of scope", "run": "b", "seeds": 3}, []),
        ({"verdict": "not run", "fault": True}, ["a fault keeps it from being judged"]),
        ({"verdict": "not run"}, []),
        ({"verdict": "inconclusive", "run": "b", "seeds": 3}, []),
        ({"verdict": "contradicted", "run": "b", "seeds": 3}, ["the verdict is now its opposite"]),
    ],
)
def test_what_is_a_regression_of_a_verdict(case, after, said):
    effects = [] if after["verdict"] == "not run" else [effect_of(HIGH)]
    assert pair(case(effect_of(HIGH)), case(*effects, **after)).regressions == said


def test_what_was_not_decided_cannot_be_lost(case):
    premise = PremiseRecord(name="size", unit="px", value=8.0, least=32.0, holds=False)
    before, after = case(verdict="inconclusive"), case(verdict="out of scope", premises=[premise])
    assert pair(before, after).regressions == []


def test_the_same_runs_repeat_so_that_what_moved_was_moved(case):
    """By half of half an interval: other seeds do more, the same ones none of it."""
    before = effect_of(HIGH)
    step = (before.high - before.low) / 4
    after = effect_of([value - step for value in HIGH])
    assert pair(case(before), case(after)).regressions == ["'effect 0' shifted against the claim"]
    assert pair(case(before), case(after, run="b")).shifted == []
    assert pair(case(before), case(effect_of([value - step / 10 for value in HIGH]))).shifted == []
    assert "(the same runs)" in changes(compare({("L4", "x"): case(before)}, {("L4", "x"): case(after)}), 120)


def test_the_same_runs_on_another_machine_are_compared_seed_by_seed(case):
    """A loss that all seeds share, and that is small beside what is between them."""
    before, after = [2.0, 6.0, 10.0, 14.0, 18.0], [0.9, 5.1, 8.9, 13.1, 17.0]
    elsewhere = case(effect_of(after), device="cpu: another one")
    assert len(pair(case(effect_of(before)), elsewhere).shifted) == 1
    assert pair(case(effect_of(before)), case(effect_of(after), run="b")).shifted == []
    old = effect_of(before, by_seed=[])
    assert pair(case(old), elsewhere).shifted == []


@pytest.mark.parametrize(
    ("device", "repeats"),
    [
        ("cpu: AMD EPYC (family 25, model 1, AVX2), 1 thread", True),
        ("cpu: Intel(R) Xeon(R) CPU (family 6, model 143, AVX512), 2 threads, 4 processes", True),
        ("cpu: arm64 (DEFAULT), 1 thread", True),
        ("cpu: AMD EPYC, 1 thread", False),  # as it once was: two machines of one name may round in different ways
        ("cpu: a (AVX2), 1 thread; cpu: b (AVX2), 1 thread", False),
        ("cuda: NVIDIA H100 (80 GB)", False),
    ],
)
def test_what_a_device_that_is_named_alike_says_of_two_measurements(case, device, repeats):
    one, other = (case(effect_of(HIGH), device=device, when=when) for when in ("once", "again"))
    assert relation(one, other) == ("same" if repeats else "paired")
    assert relation(one, one) == "same"


def test_this_processor_is_named_so_that_its_kind_can_be_told():

    assert repeats_exactly(hardware(torch.device("cpu")))


def test_seeds_that_agree_by_accident_are_no_proof(case):
    """Counted shares: two seeds that lose one image each have no spread, and lost next to nothing."""
    before, after = [0.90, 0.80], [0.89, 0.79]
    cases = [case(effect_of(values), seeds=2, device=device) for values, device in ((before, "cpu"), (after, "else"))]
    assert pair(*cases).shifted == []


def test_another_rule_is_named_though_the_verdict_stays(case):
    before = case(effect_of(HIGH))
    rule = RuleRecord(part=None, text=before.rule.text, sha256="f" * 64)
    found = compare({("L4", "digits"): before}, {("L4", "digits"): case(effect_of(HIGH), rule=rule)})
    assert found.regressions == []
    assert f"another rule: {before.rule.sha256[:12]} -> ffffffffffff" in changes(found, 120)


def test_cases_that_one_set_lacks_stand_last_and_are_no_regression(case):
    one = case(effect_of(HIGH))
    found = compare({("L4", "digits"): one, ("L1", "digits"): one}, {("L4", "digits"): one, ("L2", "x"): one})
    assert (found.only_before, found.only_after) == ([("L1", "digits")], [("L2", "x")])
    text = changes(found, 80)
    assert text.index("L1 digits") < text.index("Only in the second set") < text.index("L2 x")
    assert found.regressions == []


def test_a_folder_without_evidence_is_one_line(tmp_path):
    with pytest.raises(HarnessError, match="no evidence in .*expected a results folder"):
        read_set(tmp_path)


@pytest.mark.parametrize("reference", [QUICK, OLD], ids=lambda path: path.name)
def test_a_committed_set_is_its_own_equal_without_torch(reference):
    code = (
        f"import sys; sys.argv = ['harness', 'compare', {str(reference)!r}, {str(reference / 'evidence')!r}]\n"
        "from harness.__main__ import main\nmain()\nprint([n for n in ('torch', 'pandas') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    *said, loaded = done.stdout.splitlines()
    assert loaded == "[]"
    assert "0 verdicts turned, 0 effects shifted, 0 cases with a regression" in " ".join(said)
    assert len(said) <= 2


def test_the_error_is_that_of_which_the_interval_was_made():
    found = estimate([Replicate(value, other, 0.0, 0.0, 32, "image") for value, other in zip(HIGH, LOW, strict=True)],
                     paired=False)  # fmt: skip
    effect = as_effect(RULE.model_copy(update={"paired": False}), found, LOOK)
    error = error_of(effect)
    assert (error.size, error.freedom) == (pytest.approx(found.error.size), pytest.approx(found.error.freedom))
    before_it_was_kept = error_of(effect.model_copy(update={"freedom": None}))
    assert before_it_was_kept.size >= error.size
    assert before_it_was_kept.freedom <= error.freedom
    assert error_of(effect.model_copy(update={"low": None})) is None


def test_two_means_of_one_spread_are_compared_as_scipy_does():
    one, other = np.array(HIGH), np.array(HIGH[::-1]) - 0.7
    shift = Shift(effect_of(one), effect_of(other), "independent")
    assert chance(shift) == pytest.approx(stats.ttest_ind(one, other, equal_var=False).pvalue)
    paired = Shift(effect_of(SAME), effect_of(np.array(SAME) + np.array([0.2, 0.5, 0.9, 0.4, 0.6])), "paired")
    assert chance(paired) == pytest.approx(
        stats.ttest_rel(*(each.by_seed for each in (paired.before, paired.after))).pvalue
    )


def test_holms_correction_is_that_of_the_textbook():
    found = corrected({"a": 0.01, "b": 0.02, "c": 0.03, "d": 0.04, "e": 0.9})  # as p.adjust in R
    assert found == pytest.approx({"a": 0.05, "b": 0.08, "c": 0.09, "d": 0.09, "e": 0.9})
    assert corrected({}) == {}


def test_an_effect_that_has_lost_its_number_has_moved():
    assert moved(effect_of(HIGH), effect_of(HIGH, value=None))
    assert not moved(effect_of(HIGH, value=None), effect_of(HIGH, value=None))


SIZES = [0.0, 0.5, 1.0, 2.0, 4.0, 8.0]  # of the true effects, in standard deviations of a seed; one case each
PAIRS = 300


@pytest.fixture(scope="module")
def claim():
    return calibration.claim()


@pytest.fixture
def drawn(case, claim):
    """Makes a result set in which the truth is SIZES."""
    return partial(draw, case, claim)


def draw(case, claim, kind, looks, seed, run):
    cases = {}
    for number, size in enumerate(SIZES):
        rule = calibration.rule(2, paired=kind.endswith("paired"))
        sizes = dict.fromkeys((effect.name for effect in rule.effects), size)
        judged = simulated(claim, rule, calibration.Seeds(kind, sizes, 1000 * seed + number), looks)
        look = LookRecord(seeds=judged.look.seeds, of=list(looks), level=judged.look.level)
        cases["L4", str(number)] = case(
            *judged.effects, verdict=judged.verdict, run=f"{run}{number}", seeds=look.seeds, look=look
        )
    return cases


def at_most(share, cases):
    """What a true share of so many stays below in all but 0.1 %."""
    return stats.binom.ppf(0.999, cases, share)


@pytest.mark.parametrize(
    ("kind", "looks"), [("normal, Welch", (3,)), ("normal, paired", (3, 5, 8, 13)), ("skewed", (3, 5))]
)
def test_false_alarms_stay_below_the_stated_level(drawn, kind, looks):
    """Pairs of sets that differ in nothing but their seeds."""
    found = [compare(*(drawn(kind, looks, 2 * seed + at, "ab"[at]) for at in (0, 1))) for seed in range(PAIRS)]
    assert sum(any(pair.shifted for pair in each.pairs) for each in found) <= at_most(ERROR, PAIRS)
    assert sum(bool(each.regressions) for each in found) <= at_most(ERROR, PAIRS)
    # Verdicts at their edges do come and go meanwhile: it is not for lack of change that there is no alarm.
    assert sum(bool(each.turned) for each in found) > PAIRS / 10


def test_false_alarms_of_the_same_runs_on_another_machine(case):
    """Each seed's number moves by a part of the spread between seeds, in no direction."""
    random, alarms = np.random.default_rng(0), 0
    for _ in range(PAIRS):
        sets = [{}, {}]
        for number, size in enumerate(SIZES):
            seeds = size + random.normal(size=3)
            for at, values in enumerate((seeds, seeds + 0.3 * random.normal(size=3))):
                sets[at]["L4", str(number)] = case(effect_of(values), seeds=3, run=str(number), device=f"cpu {at}")
        alarms += bool(compare(*sets).regressions)
    assert alarms <= at_most(ERROR, PAIRS)


def test_a_planted_shift_is_found_among_many_cases(drawn):
    """By six standard deviations of a seed, in one case of six, with three seeds."""
    found = 0
    for seed in range(50):
        before, after = (drawn("normal, Welch", (3,), 2 * seed + at, "ab"[at]) for at in (0, 1))
        worse = [
            effect_of([value - 6 for value in effect.by_seed], name=effect.name) for effect in after["L4", "5"].effects
        ]
        after["L4", "5"] = after["L4", "5"].model_copy(update={"effects": worse})
        found += [pair.name for pair in compare(before, after).regressions] == ["5"]
    assert found >= 40
