from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.plan.cast import Player, player
from harness.plan.estimate import Speeds, finish_times, measured_speeds, reached, work
from harness.plan.plan import Item, Plan
from harness.plan.profile import FOLDER, load_profile
from harness.plan.run import ModelSpec
from harness.plan.wanted import wanted
from harness.probes.kinds import PROBES

TIMES = st.lists(st.floats(0.1, 100.0), min_size=1, max_size=60)


@given(TIMES, st.integers(1, 8))
def test_workers_are_never_idle_while_jobs_wait(seconds, workers):
    ends = finish_times(seconds, workers)
    starts = [end - each for end, each in zip(ends, seconds, strict=True)]
    for number, start in enumerate(starts):
        at_work = sum(s <= start < e - 1e-9 for s, e in zip(starts[:number], ends[:number], strict=True))
        assert at_work < workers
        assert start == pytest.approx(0.0) or any(start == pytest.approx(end) for end in ends[:number])
    assert max(ends) >= max(sum(seconds) / workers, max(seconds)) - 1e-6


@pytest.mark.parametrize("spread", [0.3, 1.0, 1.5])
def test_longest_first_64_gpus_are_busy_until_the_end(spread):
    """1,000 runs of known durations against the lower bound: all of the work shared out evenly, or the longest run."""
    seconds = sorted(np.random.default_rng(0).lognormal(6, spread, 1000), reverse=True)
    bound = max(sum(seconds) / 64, seconds[0])
    assert bound / max(finish_times(seconds, 64)) > 0.95


def test_a_plan_is_done_longest_first_and_what_is_unknown_before_that(make_run):
    def item(seed, training, measuring, missing=("one",)):
        return Item(make_run(seed=seed), ("vit",), (), False, missing, (None,), 1, training, measuring)

    plan = Plan((item(0, 1.0, 5.0), item(1, 7.0, 0.0), item(2, 3.0, None), item(3, 99.0, 0.0, ()), item(4, 9.0, 9.0)))
    assert [job.run.seed for job in plan.longest_first] == [2, 4, 1, 0]
    assert [job.run.seed for job in plan.jobs] == [0, 1, 2, 4]


def test_a_case_is_reached_when_the_last_of_its_runs_is_done():
    ends = {"a": 10.0, "b": 20.0, "c": 30.0}
    needs = {"first": {"a"}, "both": {"a", "b"}, "late": {"c"}, "there": set[str](), "stored": {"x"}}
    assert reached(needs, ends, 20.0) == ["first", "both", "there", "stored"]


@pytest.fixture
def profile():
    return load_profile("quick")


def requests(run, profile, *names):
    return [wanted(name).request(profile, Player(run.model, run.recipe), 0) for name in names]


def test_without_any_measurement_the_profiles_speed_is_taken(make_run, profile):
    run = make_run(train_images=None)
    (prediction,) = requests(run, profile, "prediction")
    speed = profile.throughput["vit_micro"]
    assert Speeds().of_training(run, profile, 700) == pytest.approx(700 / speed)
    assert Speeds().of_probes(run, [prediction, prediction], profile) == pytest.approx(2 * 360 / 4 / speed)
    assert Speeds().of_probes(make_run("mixer_tiny"), [prediction], profile) is None
    assert Speeds().of_training(make_run("mixer_tiny"), profile, 0) == 0.0


def test_a_network_with_options_has_the_figure_of_its_own_or_that_of_the_plain_one(make_run, profile):
    plain = make_run()
    own = plain.model_copy(update={"model": ModelSpec(name="vit_micro", overrides={"heads": 1, "depth": 2})})
    other = plain.model_copy(update={"model": ModelSpec(name="vit_micro", overrides={"heads": 2})})
    told = {"vit_micro": 100.0, "vit_micro(depth=2, heads=1)": 400.0}
    profile = profile.model_copy(update={"throughput": told})
    assert [Speeds().of_training(run, profile, 200) for run in (plain, own, other)] == [2.0, 0.5, 2.0]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_a_figure_with_options_is_of_a_network_that_the_profile_trains(path):
    profile = load_profile(path.stem)
    leads = [(role, lead) for role, specs in profile.roles.items() for lead in specs]
    networks = {str(lead) for _, lead in leads}
    networks |= {
        str(player(profile, name, lead).model)
        for name, variant in profile.variants.items()
        for role, lead in leads
        if role == variant.of
    }
    assert {name for name in profile.throughput if "(" in name} <= networks


def test_what_was_measured_here_goes_first(make_run, profile, store):
    run = make_run()
    hessian, prediction = requests(run, profile, "hessian", "prediction")
    meta = {"run": run.model_dump(mode="json"), "images_per_second": 50.0}
    store.write(run.weights_key(None), {}, meta)
    for seed, seconds in enumerate((9.0, 30.0, 6.0)):
        request = hessian.model_copy(update={"parameters": hessian.parameters.model_copy(update={"seed": seed})})
        told = {"request": request.model_dump(mode="json"), "seconds": seconds}
        store.write(request.key(run.run_id), {}, told)
    speeds = measured_speeds(store)
    assert speeds.of_training(run, profile, 200) == pytest.approx(4.0)
    assert speeds.of_probes(run, [hessian], profile) == pytest.approx(9.0)  # the median
    assert speeds.of_probes(run, [prediction], profile) == pytest.approx(360 / 4 / 50)


@pytest.mark.parametrize("name", PROBES)
def test_every_probe_says_what_it_takes(name, make_run, profile):
    run = make_run()
    (request,) = requests(run, profile, name)
    found = work(request, run)
    assert np.isfinite(found)
    images = getattr(request.parameters, "images", None) or (96 if PROBES[name].split == "train" else 360)
    assert found == images * PROBES[name].work(request.parameters)
    assert found > 0
