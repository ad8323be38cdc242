"""Both engines bring the same jobs to the same end."""

from __future__ import annotations

import time

import pytest
import torch

from harness.engine import engine_named
from harness.engine.progress import Lines
from harness.engine.settings import Settings, prepare, workers_on
from harness.engine.settle import Ends
from harness.engine.stop import Stop
from harness.engine.worker import is_short_of_memory
from harness.errors import HarnessError
from harness.plan.job import Job
from harness.plan.wanted import ProbeRequest
from harness.probes import PROBES
from harness.store import Store


class Watch:
    """Remembers what it was told."""

    def __init__(self):
        self.ended, self.events = {}, []

    def update(self, job, event):
        self.events.append(event)

    def finished(self, job, failure):
        self.ended[str(job.run)] = failure

    def say(self, line):
        self.events.append({"say": line})


@pytest.fixture(scope="module", params=["local", "ray"])
def engine(request):
    ray = request.param == "ray" and pytest.importorskip("ray", reason="ray is an optional extra")
    yield engine_named(request.param)
    if ray:
        ray.shutdown()


@pytest.fixture
def settings(tmp_path):
    return Settings(store=tmp_path / "store", data_root=None, device="cpu", workers=2, logs=tmp_path / "logs")


def jobs(make_run, **recipe):
    request = ProbeRequest(probe="prediction", parameters=PROBES["prediction"].parameters(), test_images=None)
    return [Job(make_run("vit_micro", seed=seed, **recipe), (request,), training=True) for seed in (0, 1, 2)]


def test_jobs_are_done_and_watched(engine, settings, make_run):
    watch = Watch()
    wanted = jobs(make_run, epochs=1, warmup_epochs=0)
    outcome = engine(wanted, settings, Stop(), watch)
    assert not outcome.failed
    assert not outcome.stopped
    assert watch.ended == {str(job.run): None for job in wanted}
    store = Store(settings.store)
    for job in wanted:
        assert store.read(job.run.checkpoint_key)
        assert store.read(job.probes[0].key(job.run.run_id))
    assert {"training", "prediction"} <= {event["doing"] for event in watch.events if "doing" in event}


def test_a_job_that_fails_fails_alone(engine, settings, make_run):
    watch = Watch()
    good, bad = jobs(make_run, epochs=1, warmup_epochs=0)[0], jobs(make_run, batch_size=1000)[1]
    outcome = engine([bad, good], settings, Stop(), watch)
    assert list(outcome.failed) == [bad.run.run_id]
    assert "do not fill one batch of 1000" in outcome.failed[bad.run.run_id]
    assert watch.ended[str(good.run)] is None


def test_workers_take_turns_at_the_gpus(monkeypatch):
    chosen = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    assert [str(prepare("cuda", worker)) for worker in range(5)] == ["cuda"] * 5
    assert chosen == [0, 1, 2, 0, 1]
    assert workers_on("cuda", 3, 16, None) == 3
    assert workers_on("cuda", 3, 16, 4) == 12
    assert workers_on("cpu", 3, 16, None) == 16
    assert workers_on("cpu", 0, 16, 2) == 2


def test_only_a_shortage_of_memory_may_pass():
    short = [MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), short_of_memory_here()]
    assert all(map(is_short_of_memory, short))
    assert not any(map(is_short_of_memory, [RuntimeError("shapes"), HarnessError("diverged"), OSError("disk")]))


def short_of_memory_here():
    try:
        torch.empty(2**60, dtype=torch.uint8)
    except RuntimeError as error:
        return error


def test_only_what_may_pass_is_tried_once_more(make_run):
    watch = Watch()
    ends, (job, other, _) = Ends(watch), jobs(make_run)
    lost = {"failed": "the worker was lost", "may_pass": True}
    assert not ends.take(other, {"failed": "it diverged", "may_pass": False})
    assert ends.take(job, lost)
    assert watch.events == [{"say": "the worker was lost; it is tried once more"}]
    assert str(job.run) not in watch.ended
    assert not ends.take(job, lost)
    assert ends.outcome.failed == {other.run.run_id: "it diverged", job.run.run_id: "the worker was lost"}
    assert watch.ended == {str(other.run): "it diverged", str(job.run): "the worker was lost"}


def test_whoever_stops_tries_nothing_again(make_run):
    ends, (job, *_) = Ends(Watch()), jobs(make_run)
    assert not ends.take(job, {"stopped": True})
    assert not ends.take(job, {"failed": "the worker was lost", "may_pass": True})
    assert ends.outcome.stopped


class WhenKept(Stop):
    """As a deadline that falls into the trainings, however long it takes to get there."""

    def __init__(self, store):
        super().__init__()
        self.store = store

    def now(self):
        if self.deadline is None and list(self.store.glob("runs/*/step-*")):
            self.deadline = time.monotonic()
        return super().now()


def test_a_stop_keeps_the_state_of_what_is_going_on_and_begins_nothing_more(engine, settings, make_run):
    wanted = jobs(make_run, epochs=100_000)
    watch = Watch()
    outcome = engine(wanted, settings, WhenKept(settings.store), watch)
    assert outcome.stopped
    assert not outcome.failed
    assert not watch.ended
    assert list(settings.store.glob("runs/*/step-*"))
    assert len(list(settings.store.glob("runs/*"))) <= settings.workers


def test_an_unknown_engine_names_the_nearest():
    with pytest.raises(HarnessError, match="did you mean 'local'"):
        engine_named("locale")


def test_plain_lines_say_each_end(make_run, capsys):
    import sys

    job = jobs(make_run)[0]
    with Lines(2, sys.stdout) as lines:
        lines.update(job, {"doing": "training"})
        lines.finished(job, None)
        lines.finished(job, "it broke")
    assert capsys.readouterr().out.splitlines() == [f"[1/2] {job.run}: done", f"[2/2] {job.run}: it broke"]
