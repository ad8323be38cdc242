"""What happens to a reproduction that is killed, or that somebody else is doing at the same time."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.plan.job import Job
from harness.store import Store

ROOT = Path(__file__).parents[2]
KILLS = 20


def smoke(place, *options):
    """A smoke reproduction in a process group of its own."""
    folders = ["--results", str(place / "results"), "--store", str(place / "store")]
    command = [sys.executable, "-m", "pytest", "claims", "--profile", "smoke", "--device", "cpu", *folders, *options]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def final_weights(place):
    return {path.parent.parent.name: path.read_bytes() for path in place.glob("store/runs/*/final/weights.safetensors")}


def verdicts(place):
    paths = sorted(place.glob("results/evidence/*/*.json"))
    return {path.parent.name: json.loads(path.read_text())["effects"] for path in paths}


def finish(process):
    output, _ = process.communicate(timeout=300)
    assert process.returncode in (0, 1), output
    return output


def test_killed_at_random_instants_it_finishes_with_the_same_bits(tmp_path):
    """SIGKILL to the whole group, again and again; every time the work is done, it starts afresh.

    One claim with three networks is enough: the others would only make it longer.
    """
    random.seed(0)
    began = time.monotonic()
    finish(smoke(tmp_path / "whole", "-k", "A2"))
    usual = time.monotonic() - began
    wanted, judged = final_weights(tmp_path / "whole"), verdicts(tmp_path / "whole")
    assert len(wanted) == 6
    assert len(judged["A2"]) == 2

    kills, rounds, resumed = 0, 0, 0
    while kills < KILLS:
        place = tmp_path / f"round-{rounds}"
        rounds += 1
        while True:
            process = smoke(place, "-k", "A2")
            _wait_for_an_instant(process, place, usual, in_training=kills % 2 == 0)
            if process.poll() is not None:
                break
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            kills += 1
            resumed += bool(_states(place))
        finish(process)
        assert final_weights(place) == wanted
        assert verdicts(place) == judged
        assert not _states(place)
    assert resumed >= 2, "hardly a kill fell into a training: the instants are badly chosen"


def _states(place):
    """What runs that are not finished have kept."""
    return list(place.glob("store/runs/*/step-*"))


def _wait_for_an_instant(process, place, usual, *, in_training):
    """Any instant of a session; or one shortly after a training has kept a new state, since most of the time goes into
    loading libraries."""
    before = set(_states(place))
    until = time.monotonic() + (4 * usual if in_training else random.uniform(0.1, 1.0) * usual)
    while process.poll() is None and time.monotonic() < until:
        if in_training and set(_states(place)) - before:
            time.sleep(random.uniform(0.0, 0.01))
            return
        time.sleep(0.002)


def test_a_state_left_by_a_kill_right_after_the_end_is_removed(make_run, digits, tmp_path):
    import torch

    from harness.engine.execute import execute
    from harness.training.loop import train

    run, store = make_run(epochs=1, warmup_epochs=0), Store(tmp_path / "store")
    train(run, digits, store=store, device=torch.device("cpu"), report=print, should_stop=lambda: False)
    store.write(f"{run.folder}/step-0000000003", {"model.safetensors": b"left"}, {})
    job = Job(run, (), training=True)
    execute(job, store=store, device=torch.device("cpu"), root=None, report=print, should_stop=lambda: False)
    assert not list((tmp_path / "store").glob("runs/*/step-*"))
    assert store.read(run.checkpoint_key) is not None


EXECUTE = """
import json, sys
from pathlib import Path
import torch
from harness.plan.job import Job
from harness.engine.execute import execute
from harness.store import Store

torch.set_num_threads(1)
job = Job.from_plain(json.loads(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
execute(
    job,
    store=Store(Path(sys.argv[2])),
    device=torch.device("cpu"),
    root=None,
    report=lambda event: print(event["doing"], flush=True),
    should_stop=lambda: False,
)
"""


def test_of_two_processes_one_trains_and_the_other_waits_and_reads(make_run, tmp_path):
    run = make_run("resnet_micro", train_images=None, epochs=3)
    job = json.dumps(Job(run, (), training=True).to_plain())
    command = [sys.executable, "-c", EXECUTE, job, str(tmp_path / "store")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pair = [
        subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in pair:
        assert process.stdout.readline() == "ready\n"
    for process in pair:
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=120)[0] for process in pair]
    assert [process.returncode for process in pair] == [0, 0], outputs
    assert sorted("training" in output for output in outputs) == [False, True]
    assert sorted("waiting" in output for output in outputs) == [False, True]
    assert Store(tmp_path / "store").read(run.checkpoint_key) is not None


def test_two_reproductions_started_together_share_the_work(tmp_path):
    """The same store, results of their own: each run is trained once, and both come to the same effects."""
    shared = tmp_path / "store"
    processes = [smoke(tmp_path / name, "-k", "A2", "--store", str(shared)) for name in ("one", "two")]
    outputs = [finish(process) for process in processes]
    finals = sorted(shared.glob("runs/*/final/manifest.json"))
    assert len(finals) == 6, outputs
    assert verdicts(tmp_path / "one") == verdicts(tmp_path / "two")
    assert not list(shared.glob("runs/*/step-*"))
    assert not (shared / "damaged").exists()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the workers in /proc")
def test_a_worker_that_is_killed_fails_its_run_and_the_next_call_continues(tmp_path):
    process = smoke(tmp_path, "-k", "F4")
    deadline = time.monotonic() + 60
    while not (workers := _children(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.0)
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 3, output
    assert "the worker ended with status -9" in output
    assert verdicts(tmp_path) == {"F4": []}
    finish(smoke(tmp_path, "-k", "F4"))
    assert len(verdicts(tmp_path)["F4"]) == 2


def _children(pid):
    """Worker processes of a session."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid and b"harness.engine.worker" in (entry.parent / "cmdline").read_bytes():
                found.append(int(entry.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found
