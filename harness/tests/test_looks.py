"""Sessions over planted tables: who gets more seeds, what is judged when, and whether planted mistakes are caught."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pandas as pd
import pytest

from harness.engine.settings import Outcome
from harness.errors import HarnessError
from harness.judging.again import ClaimTest, judge_again
from harness.judging.looks import Look
from harness.judging.statistics import SKEWED
from harness.plan.case import LEARNED, expand
from harness.plan.catalogue import load_catalogue
from harness.plan.profile import load_profile
from harness.plan.wanted import in_full
from harness.session import NotRun, Options, Session
from harness.store import Store
from harness.store.tables import to_parquet

RULE = """
[{claim}]
group = "lowpass"
title = "A claim of the test"
statement = "Made up."
figure = "Fig 2a"
dataset = "digits"
epochs = 0
models = {{ vit = "vit_tiny", resnet = "resnet50" }}
[[{claim}.rules]]
text = "The effect lies above its null."
{rule}
effects = [{{ name = "effect", unit = "nats", null = 0.0, decides = true, paper = 4.0, source = "made up"{effect} }}]
"""
PROFILE = """
about = "planted"
datasets = ["digits"]
looks = [3, 5, 8]
[roles]
vit = "vit_micro"
resnet = "resnet_micro"
[recipe]
epochs = 1
warmup_epochs = 0
"""
SAMPLES = 40  # of each table
NOISE = [1.2, -1.1, 0.3, 0.9, -1.0, 0.4, -0.6, 0.2]  # of the seeds


class Planted:
    """An engine that trains nothing: it writes tables whose NLL and accuracy were made up.

    Attributes:
        nll: (role's network, seed, untrained) -> what the table says in the mean.
        accuracy: likewise.
        patience: jobs after which it is killed.
        jobs: that it was given, in order.
    """

    def __init__(self, store, nll, accuracy=lambda *_: 0.9, *, patience=10_000, backwards=False):
        self.store, self.nll, self.accuracy = Store(store), nll, accuracy
        self.patience, self.backwards, self.jobs = patience, backwards, []

    def __call__(self, jobs, settings, stop, watcher):
        for job in reversed(jobs) if self.backwards else jobs:
            if len(self.jobs) == self.patience:
                return Outcome(stopped=True)
            self.jobs.append(job)
            meta = {"device": "none", "seconds": 1.0, "images_per_second": None, "run": job.run.model_dump(mode="json")}
            for epoch in job.wanted:
                self.store.write(job.run.weights_key(epoch), {"weights.safetensors": b""}, meta)
            for request in job.probes:
                about = job.run.model.name.removesuffix("_micro"), job.run.seed, not job.run.recipe.total_epochs
                table = to_parquet(predictions(self.nll(*about), self.accuracy(*about)))
                self.store.write(request.key(job.run.run_id), {"table.parquet": table}, {})
        return Outcome()

    @property
    def seeds(self):
        """Of the networks that were trained."""
        return sorted({job.run.seed for job in self.jobs if job.run.recipe.total_epochs})


def predictions(nll, accuracy):
    label = np.arange(SAMPLES) % 10
    right = np.arange(SAMPLES) < round(accuracy * SAMPLES)
    about = {
        "sample": range(SAMPLES),
        "images": 1,
        "label": label,
        "predicted": np.where(right, label, (label + 1) % 10),
    }
    ripple = 0.01 * (-1.0) ** np.arange(SAMPLES)
    return pd.DataFrame({**about, "correct": right.astype(float), "confidence": 0.5, "nll": nll + ripple})


def clear(role, seed, untrained):
    """An effect of 4, give or take a tenth."""
    return 0.0 if untrained else 4 + 0.1 * NOISE[seed]


def open_(role, seed, untrained):
    """None that eight seeds would find."""
    return 3 * NOISE[seed]


def later(role, seed, untrained):
    """One that five seeds find, and three do not."""
    return 0.1 * NOISE[seed] if untrained else [3.0, 5.0, 4.0, 4.1, 4.0, 4.0, 4.0, 4.0][seed]


def of_vit(claim):
    claim.effect("effect", "vit", lambda table: float(table["nll"].mean()))


def less_4(claim):
    claim.effect("effect", "vit", lambda table: float(table["nll"].mean()) - 4)


def vit_less_resnet(claim):
    claim.effect("effect", "vit", lambda table: float(table["nll"].mean()), minus="resnet")


@pytest.fixture
def session(tmp_path, monkeypatch):
    """A session of claims F1, F2, ... over planted tables, and their cases; `.engine` is what computes."""
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / "curves.toml").write_text("")
    monkeypatch.setattr("harness.session.checked_device", lambda *_: ("cpu", 0))

    def make(nll, accuracy=lambda *_: 0.9, *, roles=("vit",), claims=1, rule="", effect="", store="store", **options):
        most, looks = options.pop("most", None), options.pop("looks", "[3, 5, 8]")
        text = "".join(RULE.format(claim=f"F{number}", rule=rule, effect=effect) for number in range(1, claims + 1))
        (tmp_path / "claims" / "catalogue.toml").write_text(text)
        (tmp_path / "planted.toml").write_text(PROFILE.replace("[3, 5, 8]", looks))
        engine = Planted(tmp_path / store, nll, accuracy, **options)
        monkeypatch.setattr("harness.session.engine_named", lambda _: engine)
        profile = load_profile(str(tmp_path / "planted.toml")).model_copy(update={"most_seeds": most})
        places = {"root": tmp_path, "results": tmp_path / "results", "store": tmp_path / store}
        opened = Session(
            profile,
            load_catalogue(tmp_path / "claims" / "catalogue.toml"),
            Options(**places, data_root=None, device="cpu", engine="local", budget=None, jobs=1),
        )
        opened.say, opened.engine = (lambda line: None), engine
        cases = [expand(f"F{number}", None, roles, ["prediction"], profile)[0][0] for number in range(1, claims + 1)]
        return opened, *cases

    return make


def judged(session, case, test):
    """What the case comes to, computed first."""
    session.compute([(case, test)])
    return session.trial(case, test).judged(session.look(case, test))


# --- who gets more seeds ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nll", "seeds", "verdict"), [(clear, 3, "reproduced"), (later, 5, "reproduced"), (open_, 8, "inconclusive")]
)
def test_an_undecided_case_gets_the_seeds_of_the_next_look_and_a_decided_one_none(session, nll, seeds, verdict):
    opened, case = session(nll)
    found = judged(opened, case, of_vit)
    assert (found.verdict, found.look) == (verdict, Look(seeds, (3, 5, 8)))
    assert opened.engine.seeds == list(range(seeds))
    untrained = [job.run.seed for job in opened.engine.jobs if not job.run.recipe.total_epochs]
    assert sorted(untrained) == [0, 1, 2]  # the first look's tell what random weights do
    before = len(opened.engine.jobs)
    opened.compute([(case, of_vit)])
    assert len(opened.engine.jobs) == before


@pytest.mark.parametrize("patience", range(12))
def test_whoever_goes_on_after_a_kill_comes_to_the_same_look_and_verdict(session, patience):
    """Eight runs are the first look's and its control's, two more the second's."""
    first, case = session(later, patience=patience)
    first.compute([(case, of_vit)])
    assert first.outcome.stopped == (patience < 8)
    if patience < 6:
        with pytest.raises(NotRun, match="the same command continues"):
            first.look(case, of_vit)
    second, case = session(later)
    found = judged(second, case, of_vit)
    assert (found.verdict, found.look.seeds) == ("reproduced", 5)
    assert len(first.engine.jobs) + len(second.engine.jobs) == 8
    assert not {str(job) for job in first.engine.jobs} & {str(job) for job in second.engine.jobs}


def test_a_kill_between_looks_leaves_the_earlier_one_to_judge(session):
    opened, case = session(later, patience=7)
    found = judged(opened, case, of_vit)
    assert opened.outcome.stopped
    assert (found.verdict, found.look.seeds) == ("inconclusive", 3)


def test_neither_the_order_of_cases_nor_of_jobs_nor_the_seeds_of_others_turns_a_look(session):
    """Three claims on the same network: decided at the second look, at the third, and at once."""
    tests = {
        "F1": of_vit,
        "F2": less_4,
        "F3": lambda claim: claim.effect("effect", "vit", lambda t: t["nll"].mean() + 10),
    }
    found = []
    for number, order in enumerate(permutations(range(3))):
        opened, *cases = session(later, claims=3, store=f"store-{number}", backwards=bool(number % 2))
        asked = [(cases[each], tests[cases[each].claim]) for each in order]
        opened.compute(asked)
        found.append({case.claim: opened.trial(case, test).judged(opened.look(case, test)) for case, test in asked})
    assert {claim: each.look.seeds for claim, each in found[0].items()} == {"F1": 5, "F2": 8, "F3": 3}
    assert all(other == found[0] for other in found)
    # Alone on a store that has all eight seeds already, F1 is still judged at its fifth.
    opened, case, *_ = session(later, claims=3, store="store-0")
    assert judged(opened, case, of_vit) == found[0]["F1"]
    assert opened.engine.jobs == []


def test_no_more_seeds_than_are_allowed(session):
    opened, case = session(open_, most=7)
    found = judged(opened, case, of_vit)
    assert opened.engine.seeds == [0, 1, 2, 3, 4]
    assert (found.verdict, found.look) == ("inconclusive", Look(5, (3, 5, 8)))


def test_fewer_seeds_than_the_first_look_has_are_a_look_of_their_own(session):
    opened, case = session(clear, most=2)
    found = judged(opened, case, of_vit)
    assert opened.engine.seeds == [0, 1]
    assert found.look == Look(2, (2, 3, 5, 8))
    assert found.effects[0].level == pytest.approx(1 - 2 * ((1 - found.look.level) / 2) ** (1 / SKEWED))
    assert found.look.level != pytest.approx(Look(3, (3, 5, 8)).level)


def test_a_damaged_table_is_measured_again_at_once(session, tmp_path):
    opened, case = session(clear)
    before = judged(opened, case, of_vit)
    table = next(tmp_path.glob("store/probes/*/*/table.parquet"))
    table.write_bytes(table.read_bytes()[:-1])
    opened, case = session(clear)
    assert judged(opened, case, of_vit) == before
    assert len(opened.engine.jobs) == 1


# --- premises and controls ----------------------------------------------------------------------------------------


def test_a_network_at_chance_puts_its_case_out_of_scope(session):
    opened, case = session(clear, lambda role, seed, untrained: 0.1 if seed == 1 else 0.9)
    found = judged(opened, case, of_vit)
    assert (found.verdict, found.look.seeds) == ("out of scope", 3)
    assert found.reason.startswith("test accuracy of the worst vit is 0.1 share")
    assert opened.engine.seeds == [0, 1, 2]  # more seeds would teach it nothing


def test_a_floor_of_the_profile_is_a_premise(session):
    opened, case = session(clear, lambda *_: 0.6)
    high = opened.profile.model_copy(update={"floors": {"vit": 0.7}})
    found = judged(opened, replace(case, profile=high), of_vit)
    reason = "mean test accuracy of vit is 0.6 share, and has to be at least 0.7."
    assert (found.verdict, found.reason) == ("out of scope", reason)


def test_images_below_the_least_size_need_no_training(session):
    opened, case = session(clear, rule="least_image = 32")
    opened.compute([(case, of_vit)])
    assert opened.engine.jobs == []
    premise = opened.out_of_scope(case)
    assert (premise.value, premise.least, premise.holds) == (8, 32, False)
    large, case = session(clear, rule="least_image = 8")
    assert large.out_of_scope(case) is None


@pytest.mark.parametrize(
    ("nll", "trained", "verdict"),
    [
        (clear, ", trained = true", "reproduced"),
        (
            lambda role, seed, untrained: 4 + 0.1 * NOISE[seed - 1 if untrained else seed],
            ", trained = true",
            "inconclusive",
        ),
        (lambda role, seed, untrained: 4 + 0.1 * NOISE[seed - 1 if untrained else seed], "", "reproduced"),
        (
            lambda role, seed, untrained: 8 * untrained + clear(role, seed, untrained),
            ", trained = true",
            "inconclusive",
        ),
    ],
    ids=["training makes it", "random weights show it", "and the rule does not ask", "training lessens it"],
)
def test_what_random_weights_show_as_well_is_not_reproduced_where_the_rule_says_trained(session, nll, trained, verdict):
    opened, case = session(nll, effect=trained)
    found = judged(opened, case, of_vit)
    assert found.verdict == verdict
    assert found.effects[0].untrained.value == pytest.approx(
        np.mean([nll("vit", seed, True) for seed in range(3)]), abs=0.2
    )
    assert [effect.name for effect in found.effects][1:] == ["effect, above the untrained network"] * bool(trained)


# --- planted mistakes ---------------------------------------------------------------------------------------------


def networks(role, seed, untrained):
    """ViT lies 4 above ResNet, once trained."""
    return NOISE[seed] * 0.1 + 4 * (role == "vit" and not untrained)


@pytest.mark.parametrize(
    ("nll", "accuracy", "effect", "verdict"),
    [
        (networks, lambda *_: 0.9, "", "reproduced"),
        (lambda *about: -networks(*about), lambda *_: 0.9, "", "contradicted"),
        (
            lambda role, *about: networks("resnet" if role == "vit" else "vit", *about),
            lambda *_: 0.9,
            "",
            "contradicted",
        ),
        (lambda role, *about: networks("resnet", *about), lambda *_: 0.9, "", "negligible"),
        (networks, lambda role, *_: 0.1 if role == "resnet" else 0.9, "", "out of scope"),
    ],
    ids=["no mistake", "sign turned", "roles exchanged", "one network in both roles", "one learns nothing"],
)
def test_planted_mistakes_are_caught(session, nll, accuracy, effect, verdict):
    opened, case = session(nll, accuracy, roles=("vit", "resnet"), effect=effect)
    assert judged(opened, case, vit_less_resnet).verdict == verdict


def test_a_wrong_null_is_caught(session, tmp_path):
    opened, case = session(networks, roles=("vit", "resnet"))
    right = judged(opened, case, vit_less_resnet)
    path = tmp_path / "claims" / "catalogue.toml"
    path.write_text(path.read_text().replace("null = 0.0", "null = 5.0"))
    opened.catalogue = load_catalogue(path)
    opened._trials.clear()
    wrong = judged(opened, case, vit_less_resnet)
    assert (right.verdict, wrong.verdict) == ("reproduced", "contradicted")


def test_shuffled_labels_are_caught(session, monkeypatch):
    """The network predicts as well as before, and nothing that it predicts is right but by chance."""
    random, ordered = np.random.default_rng(0), predictions

    def shuffled(nll, accuracy):
        table = ordered(nll, accuracy)
        label = random.permutation(table["label"])
        return table.assign(label=label, correct=(label == table["predicted"]).astype(float))

    monkeypatch.setattr("harness.tests.test_looks.predictions", shuffled)
    opened, case = session(clear)
    found = judged(opened, case, of_vit)
    assert found.verdict == "out of scope"
    assert "test accuracy of the worst vit" in found.reason


def test_a_test_that_fails_says_so_when_it_is_its_turn(session):
    def wrong(claim):
        claim.effect("efect", "vit", lambda table: 0.0)

    opened, case = session(clear)
    opened.compute([(case, wrong)])
    with pytest.raises(HarnessError, match="did you mean 'effect'"):
        opened.look(case, wrong)


# --- evidence -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nll", [clear, later, open_])
def test_evidence_is_judged_again_to_the_same_look_and_verdict(session, tmp_path, nll):
    opened, case = session(nll, effect=", trained = true")
    found = judged(opened, case, of_vit)
    evidence = opened.dossier(case, None).judged(found)
    assert (evidence.look.seeds, evidence.case.seeds) == (found.look.seeds, list(range(found.look.seeds)))
    assert len(evidence.tables) == len(evidence.support) == 1
    assert not [probe for probe in case.all_probes if probe not in case.probes]  # it asks for LEARNED itself
    assert case.probes[0].probe == LEARNED
    test = ClaimTest(of_vit, ("vit",), in_full(["prediction"]))
    (again,) = judge_again(tmp_path / "results", opened.catalogue, {("F1", None): test})
    assert (again.before, again.verdict, again.why) == (found.verdict, found.verdict, [])
