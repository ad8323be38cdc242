"""What happens to a reproduction that is killed, or that somebody else is doing at the same time."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from harness.engine.execute import execute
from harness.engine.processes import CONTEXT
from harness.engine.processes import start as fork
from harness.engine.settings import prepare
from harness.plan.job import Job
from harness.store import Store
from harness.tests.sessions import (
    PATIENCE_SECONDS,
    effects,
    final_weights,
    finish,
    group,
    kill,
    start,
    states,
    until,
    workers,
    write_project,
)

ROUNDS, KILLS = 4, 5  # as many kills in each: 20, half of them aimed at trainings
EPOCHS = 6

on_linux = pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the processes in /proc")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A session that nobody disturbs: the seconds it takes, its final weights, its effects, what it prints."""
    place = write_project(tmp_path_factory.mktemp("undisturbed"), epochs=EPOCHS)
    began = time.monotonic()
    output = finish(start(place))
    seconds = time.monotonic() - began
    wanted, judged = final_weights(place), effects(place)
    assert len(wanted) == 4  # two seeds, and the networks with random weights that they are compared with
    assert len(judged["F1"]) == 1
    return seconds, wanted, judged, output


def test_the_parent_of_a_session_loads_no_torch(undisturbed):
    *_, output = undisturbed
    assert "loaded: []" in output.splitlines()


@pytest.mark.parametrize("part", range(ROUNDS))
def test_killed_at_random_instants_it_finishes_with_the_same_bits(undisturbed, tmp_path, part):
    """SIGKILL to the whole group, again and again; every time the work is done, it starts afresh."""
    usual, wanted, judged, _ = undisturbed
    instants = random.Random(part)
    kills, rounds, resumed = 0, 0, 0
    while kills < KILLS:
        place = write_project(tmp_path / f"round-{rounds}", epochs=EPOCHS)
        rounds += 1
        while True:
            process = start(place)
            _wait_for_an_instant(process, place, usual, instants, in_training=(part + kills) % 2 == 0)
            if process.poll() is not None or kills == KILLS:
                break
            kill(process)
            kills += 1
            resumed += bool(states(place))
        finish(process)
        assert final_weights(place) == wanted
        assert effects(place) == judged
        assert not states(place)
    assert resumed, "no kill fell into a training: the instants are badly chosen"


def _wait_for_an_instant(process, place, usual, instants, *, in_training):
    """Any instant of a session; or one shortly after a training has kept a new state, since most of the time goes into
    loading libraries."""
    before = set(states(place))
    until = time.monotonic() + (PATIENCE_SECONDS if in_training else instants.uniform(0.1, 1.0) * usual)
    while process.poll() is None and time.monotonic() < until:
        if in_training and set(states(place)) - before:
            time.sleep(instants.uniform(0.0, 0.01))
            return
        time.sleep(0.002)


@on_linux
def test_a_session_killed_alone_takes_its_workers_along_and_they_keep_their_states(tmp_path):
    place = write_project(tmp_path, epochs=100_000)
    process = start(place)
    until(lambda: len(states(place)) == 2, process)
    assert len(workers(place)) == 2
    process.kill()
    until(lambda: not group(process))
    process.communicate()
    assert len(states(place)) == 2
    store = Store(place / "store")
    assert all(store.read(str(path.relative_to(store.root))) for path in states(place))


@on_linux
def test_a_worker_that_is_killed_is_replaced_and_its_run_tried_once_more_from_its_last_epoch(tmp_path):
    place = write_project(tmp_path, epochs=60)
    process = start(place)
    until(lambda: states(place), process)
    first = workers(place)
    for worker in first:
        os.kill(worker, signal.SIGKILL)
    output = finish(process)
    assert "the worker ended with status -9; see " in output
    assert output.count("; it is tried once more") == len(first)
    assert len(effects(place)["F1"]) == 1
    assert len(final_weights(place)) == 4


@on_linux
def test_runs_whose_workers_are_killed_twice_fail_and_the_next_call_continues(tmp_path):
    place = write_project(tmp_path, epochs=2)
    process = start(place)
    while process.poll() is None:
        for worker in workers(place):
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        time.sleep(0.05)
    output = finish(process, status=3)
    assert output.count("; it is tried once more") == 4  # two networks of two seeds
    assert output.count("the worker ended with status -9; see ") >= 8
    assert effects(place) == {"F1": []}
    finish(start(place))
    assert len(effects(place)["F1"]) == 1
    assert len(final_weights(place)) == 4


def test_a_state_left_by_a_kill_right_after_the_end_is_removed(make_run, digits, tmp_path):
    import torch

    from harness.training.loop import train

    run, store = make_run(epochs=1, warmup_epochs=0), Store(tmp_path / "store")
    train(run, digits, store=store, device=torch.device("cpu"), progress=print, should_stop=lambda: False)
    store.write(f"{run.folder}/step-0000000003", {"model.safetensors": b"left"}, {})
    job = Job(run, (), training=True)
    execute(job, store=store, device=torch.device("cpu"), data_root=None, progress=print, should_stop=lambda: False)
    assert not list((tmp_path / "store").glob("runs/*/step-*"))
    assert store.read(run.checkpoint_key) is not None


def execute_when_told(channel, job, store):
    """In a process of its own: print what is going on."""
    device = prepare("cpu")
    channel.send("ready")
    channel.recv()
    progress = partial(print, flush=True)
    execute(job, store=Store(store), device=device, data_root=None, progress=progress, should_stop=lambda: False)


def test_of_two_processes_one_trains_and_the_other_waits_and_reads(make_run, tmp_path):
    run, store = make_run("resnet_micro", train_images=None, epochs=3), Store(tmp_path / "store")
    logs, pair, channels = [tmp_path / "one", tmp_path / "other"], [], []
    for log in logs:
        ours, theirs = CONTEXT.Pipe()
        pair.append(fork(execute_when_told, theirs, Job(run, (), training=True), store.root, log=log))
        channels.append(ours)
    for channel in channels:
        assert channel.recv() == "ready"
    for channel in channels:
        channel.send("go")
    for process in pair:
        process.join(PATIENCE_SECONDS)
    outputs = [log.read_text() for log in logs]
    assert [process.exitcode for process in pair] == [0, 0], outputs
    assert sorted("training" in output for output in outputs) == [False, True]
    assert sorted("waiting" in output for output in outputs) == [False, True]
    assert store.read(run.checkpoint_key) is not None


def test_two_reproductions_started_together_share_the_work(tmp_path):
    """The same store, results of their own: each run is trained once, and both come to the same effects."""
    shared = tmp_path / "store"
    places = [write_project(tmp_path / name, epochs=EPOCHS) for name in ("one", "two")]
    outputs = [finish(process) for process in [start(place, "--store", str(shared)) for place in places]]
    finals = sorted(shared.glob("runs/*/final/manifest.json"))
    assert len(finals) == 4, outputs
    assert effects(places[0]) == effects(places[1])
    assert not states(tmp_path)
    assert not (shared / "damaged").exists()
