from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import torch

from harness.__main__ import main
from harness.engine.execute import execute
from harness.errors import HarnessError
from harness.judging.again import ClaimTest
from harness.plan.case import expand
from harness.plan.cast import Player
from harness.plan.catalogue import load_catalogue
from harness.plan.estimate import measured_speeds
from harness.plan.job import Job
from harness.plan.plan import make_plan
from harness.plan.profile import load_profile
from harness.plan.run import missing_weights, training_meta
from harness.plan.wanted import wanted
from harness.store import Store
from harness.upkeep import Share, contents, strip, take_in, wanted_by


class OneCase:
    """Stands for a case of one run, and what is wanted of it."""

    roles, seeds, dataset = ("vit",), (0,), "digits"

    def __init__(self, run, profile, *requests):
        self._run, self._requests, self.profile, self.available = run, requests, profile, None

    def run(self, role, seed, fingerprint):
        return self._run

    def requests(self, role, seed):
        return self._requests


@pytest.fixture
def asked(make_run):
    """A run of two epochs behind its warm-up, and who plays it."""
    run = make_run()
    return run, load_profile("quick"), Player(run.model, run.recipe)


@pytest.fixture
def measured(asked):
    """Predictions at the end of the warm-up and at its own."""
    _, profile, player = asked
    return [wanted("prediction", after=after).request(profile, player, 0) for after in (0, 1)]


def compute(job, store):
    told = []
    nobody = {"data_root": None, "progress": told.append, "should_stop": lambda: False}
    execute(job, store=store, device=torch.device("cpu"), **nobody)
    return [event["epoch"] for event in told if event.get("doing") == "training" and "epoch" in event]


def plan(store, asked, requests):
    run, profile, _ = asked
    return make_plan([OneCase(run, profile, *requests)], {"digits": run.fingerprint}, store)


def test_what_is_measured_needs_no_weights_and_one_probe_more_trains_what_it_needs(store, asked, measured):
    (run, profile, player), (early, late) = asked, measured
    (job,) = plan(store, asked, [early, late]).jobs
    compute(job, store)
    speeds, told = measured_speeds(store), training_meta(store, run, None)
    assert missing_weights(store, run, [0, None]) == []

    gone = strip(store)
    assert gone.count == 2
    assert gone.bytes > 1000
    assert missing_weights(store, run, [0, None]) == [0, None]
    assert plan(store, asked, [early, late]).jobs == []
    assert (measured_speeds(store), training_meta(store, run, None)) == (speeds, told)
    assert strip(store).count == 0

    again = wanted("prediction", after=0, images=50).request(profile, player, 0)
    (more,) = plan(store, asked, [early, late, again]).jobs
    assert more.wanted == (0,)
    assert max(compute(more, store)) == run.recipe.warmup_epochs
    assert store.read(again.key(run.run_id))
    assert missing_weights(store, run, [0, None]) == [None]


def test_weights_that_are_wanted_and_runs_at_work_are_left_alone(store, asked, measured):
    run, (early, late) = asked[0], measured
    compute(Job(run, (early, late), training=True, wanted=(0, None)), store)
    with store.lock(run.folder):
        assert strip(store).count == 0
    assert strip(store, wanted={run.weights_key(None)}).count == 1
    assert missing_weights(store, run, [0, None]) == [0]


def test_another_store_is_taken_in_and_damaged_artifacts_of_it_are_not(tmp_path, store, asked, measured):
    run, (early, late) = asked[0], measured
    compute(Job(run, (early, late), training=True, wanted=(0, None)), store)
    lines = []
    other = Store(tmp_path / "travelled", lines.append)
    shutil.copytree(store.root, other.root)
    (other.root / late.key(run.run_id) / "table.parquet").write_bytes(b"")
    here = Store(tmp_path / "here")
    came = {share.part: share.count for share in take_in(here, other)}
    assert came == {"weights": 2, "probes": 1, "data": 1}
    assert len(lines) == 1
    assert [request.probe for request in plan(here, asked, [early, late]).jobs[0].probes] == ["prediction"]
    assert take_in(here, other) == []
    whole = {share.part: share.count for share in contents(store)}
    assert whole == {"weights": 2, "states": 0, "courses": 0, "probes": 2, "data": 1, "damaged": 0}
    assert all(share.bytes > 0 for share in contents(store) if share.count)


def test_a_folder_that_is_no_store_is_refused(store, tmp_path):
    with pytest.raises(HarnessError, match="expected a folder with runs, probes or data"):
        take_in(store, Store(tmp_path / "nothing"))


TINY = """
about = "one role"
datasets = ["digits"]
looks = [2]
images = { train = 96 }
[roles]
vit = "vit_micro"
[recipe]
base = "weak"
epochs = 2
warmup_epochs = 1
batch_size = 32
"""


def test_what_a_profile_has_still_to_measure_is_kept(store, digits, tmp_path):
    (tmp_path / "tiny.toml").write_text(TINY)
    profile = load_profile(str(tmp_path / "tiny.toml"))
    test = ClaimTest(lambda claim: None, ("vit",), (wanted("prediction", after=0), wanted("prediction")))
    case = expand("F1", None, test.roles, test.probes, profile)[0][0]
    for seed in range(2):
        run = case.run("vit", seed, digits.fingerprint)
        early, late = case.requests("vit", seed)
        compute(Job(run, (early, late)[: seed + 1], training=True, wanted=(0, None)), store)
    first, second = case.run("vit", 0, digits.fingerprint), run
    claims = load_catalogue(Path(__file__).parents[2] / "claims" / "catalogue.toml")
    wants = wanted_by(profile, {("F1", None): test}, claims, store)
    assert first.weights_key(None) in wants
    assert not wants & {first.weights_key(0), *map(second.weights_key, (0, None)), second.folder}
    assert strip(store, wants).count == 3
    assert missing_weights(store, first, [0, None]) == [0]
    assert wanted_by(profile, {}, claims, store) == set()


def test_the_command_says_what_is_there_and_what_went(store, measured, asked, monkeypatch, capsys):
    run = asked[0]
    compute(Job(run, tuple(measured), training=True, wanted=(0, None)), store)

    def harness(*arguments):
        monkeypatch.setattr(sys, "argv", ["harness", "store", "--store", str(store.root), *arguments])
        main()
        return capsys.readouterr().out.splitlines()

    assert harness()[0].split()[:2] == ["weights", "2"]
    gone, weights, *_ = harness("strip", "--for", "quick")
    assert gone.startswith("removed 2 weights and states, ")
    assert weights.split()[:2] == ["weights", "0"]
    assert harness("take", str(store.root))[0] == "took in nothing: it is all here"
    monkeypatch.setattr("harness.upkeep.take_measurements", lambda store, results: [Share("probes", 1234, 5)])
    (store.root / "evidence").mkdir()
    assert harness("take", str(store.root))[0] == "took in 1,234 probes"
    monkeypatch.setattr(sys, "argv", ["harness", "store", "--store", str(store.root / "none")])
    with pytest.raises(SystemExit, match="no store in .*none; give one with --store or REPRO_STORE"):
        main()
