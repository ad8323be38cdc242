"""A cluster of two nodes on this machine: nodes and drivers are killed, and the bits are those of the local engine."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time

import pytest

from harness.engine.settings import Settings
from harness.errors import HarnessError
from harness.plan.job import Job
from harness.tests.sessions import ROOT, effects, final_weights, finish, kill, start, states, until, write_project

EPOCHS = 120  # long enough to be hit in the middle
ray = pytest.importorskip("ray", reason="ray is an optional extra")


def settings(tmp_path, device="auto", **given):
    return Settings(tmp_path / "store", None, device, workers=2, logs=tmp_path / "logs", **given)


@pytest.mark.parametrize(
    ("wish", "there", "share"),
    [
        ("auto", {"CPU": 8.0}, ("cpu", {"num_cpus": 1})),
        ("auto", {"CPU": 8.0, "GPU": 2.0}, ("cuda", {"num_cpus": 0, "num_gpus": 0.25})),
        ("cpu", {"CPU": 8.0, "GPU": 2.0}, ("cpu", {"num_cpus": 1})),
    ],
)
def test_a_job_takes_a_core_or_its_share_of_a_gpu_of_the_cluster(tmp_path, monkeypatch, wish, there, share):
    from harness.engine import on_ray

    monkeypatch.setattr(ray, "cluster_resources", lambda: there)
    assert on_ray.resources(settings(tmp_path, wish, on_each_gpu=4)) == share


def test_a_cluster_without_a_gpu_says_so(tmp_path, monkeypatch):
    from harness.engine import on_ray

    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 8.0})
    with pytest.raises(HarnessError, match="has no GPU, only 8 cores.*--device cpu or auto"):
        on_ray.resources(settings(tmp_path, "cuda"))


@pytest.mark.parametrize(
    ("error", "begun", "end"),
    [
        (ray.exceptions.NodeDiedError("gone"), True, {"failed": "lost (NodeDiedError)", "may_pass": True}),
        (ray.exceptions.NodeDiedError("gone"), False, None),  # sent to a node that was dead already
        (ray.exceptions.WorkerCrashedError(), False, {"failed": "lost (WorkerCrashedError)", "may_pass": True}),
        (ray.exceptions.OutOfMemoryError("full"), True, {"failed": "lost (OutOfMemoryError)", "may_pass": True}),
        (ray.exceptions.RuntimeEnvSetupError("no such folder"), False, {"failed": "no such folder", "may_pass": False}),
        (ray.exceptions.TaskCancelledError(), True, {"stopped": True}),
    ],
)
def test_a_loss_may_pass_and_a_place_that_was_dead_already_is_no_try(monkeypatch, make_run, error, begun, end):
    from harness.engine import on_ray

    def get(reference):
        raise error

    monkeypatch.setattr(ray, "get", get)
    found = on_ray._end("reference", Job(make_run(), (), training=True), begun=begun)
    if end and "failed" in end:
        assert end["failed"] in found["failed"]
        assert found["may_pass"] == end["may_pass"]
    else:
        assert found == end


def test_an_address_needs_its_engine(tmp_path):
    output = finish(start(write_project(tmp_path), "--ray-address", "127.0.0.1:6379"), status=4)
    assert "--ray-address 127.0.0.1:6379 needs --engine ray" in output


@pytest.mark.parametrize("address", ["127.0.0.1:1", "no-such-machine", "ray://127.0.0.1:1"])
def test_an_address_where_no_cluster_is_is_one_line(tmp_path, address):
    from harness.engine import on_ray

    with pytest.raises(HarnessError, match=rf"^no Ray cluster at {address}: .+; give the HOST:PORT that"):
        on_ray.connect(settings(tmp_path, ray_address=address))
    assert not ray.is_initialized()


@pytest.fixture(scope="module")
def on_this_machine(tmp_path_factory):
    """Final weights and effects of the local engine."""
    place = write_project(tmp_path_factory.mktemp("local"), epochs=EPOCHS)
    finish(start(place))
    return final_weights(place), effects(place)


@pytest.fixture
def cluster():
    """Two nodes of one core each, and a head for the driver, which computes nothing."""
    from ray.cluster_utils import Cluster

    there = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    for _ in range(2):
        there.add_node(num_cpus=1)
    yield there
    there.shutdown()


def on_cluster(place, cluster, *options):
    return start(place, "--engine", "ray", "--ray-address", cluster.address, *options)


def steps(place):
    """How far the runs are that have kept a state: run -> step."""
    found = {}
    for path in states(place):
        step = int(path.name.removeprefix("step-"))
        found[path.parent.name] = max(step, found.get(path.parent.name, 0))
    return found


def never_behind(place, before, process):
    """Wait for the session's end; no run ever keeps a state from before `before`."""
    while process.poll() is None:
        now = steps(place)
        assert all(now.get(run, step) >= step for run, step in before.items()), (before, now)
        time.sleep(0.05)  # the cores are the tasks'
    return finish(process)


@pytest.mark.slow
def test_a_node_that_is_killed_costs_at_most_an_epoch(on_this_machine, cluster, tmp_path):
    place = write_project(tmp_path, epochs=EPOCHS)
    process = on_cluster(place, cluster)
    until(lambda: len(steps(place)) == 2, process)
    cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
    output = never_behind(place, steps(place), process)
    assert len(re.findall(r"its worker or node was lost \(\w+\); it is tried once more", output)) == 1
    assert (final_weights(place), effects(place)) == on_this_machine


@pytest.mark.slow
def test_a_driver_that_is_killed_and_started_again_computes_nothing_twice(on_this_machine, cluster, tmp_path):
    cluster.remove_node(next(iter(cluster.worker_nodes)))  # two runs at once may end within the same instant
    place = write_project(tmp_path, epochs=EPOCHS)
    process = on_cluster(place, cluster)
    until(lambda: final_weights(place) and steps(place), process)
    kill(process)
    before, done = steps(place), {path: path.stat().st_mtime_ns for path in place.glob("store/runs/*/final/*")}
    assert before
    never_behind(place, before, on_cluster(place, cluster))
    assert done == {path: path.stat().st_mtime_ns for path in done}
    assert (final_weights(place), effects(place)) == on_this_machine


@pytest.mark.slow
def test_a_driver_that_is_asked_to_stop_has_its_tasks_keep_their_states(on_this_machine, cluster, tmp_path):
    place = write_project(tmp_path, epochs=EPOCHS)
    process = on_cluster(place, cluster)
    until(lambda: len(steps(place)) == 2, process)
    os.killpg(process.pid, signal.SIGTERM)
    assert "not run: stopped before" in finish(process)
    before = steps(place)
    assert len(before) == 2
    never_behind(place, before, on_cluster(place, cluster))
    assert (final_weights(place), effects(place)) == on_this_machine


@pytest.mark.parametrize("script", ["reproduce", "array"])
def test_a_batch_script_is_shell(script):
    done = subprocess.run(["bash", "-n", ROOT / "docs" / "slurm" / f"{script}.sbatch"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
