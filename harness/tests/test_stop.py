"""A stop is in good order whenever it comes, and is answered at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from harness.engine.local import run_jobs
from harness.engine.settings import Settings
from harness.engine.stop import AT_ONCE_SECONDS, Stop, stop_on_signals
from harness.plan.job import Job
from harness.tests.sessions import PATIENCE_SECONDS, finish, group, start, until, write_project
from harness.tests.test_engines import Watch


class Soon(Stop):
    """Asked for at a certain look."""

    looks = 0

    def now(self):
        self.looks += 1
        return self.looks > self.deadline


@pytest.fixture
def settings(tmp_path):
    return Settings(store=tmp_path / "store", data_root=None, device="cpu", workers=2, logs=tmp_path / "logs")


@pytest.mark.parametrize("looks", [0, 1, 2, 5])
def test_a_stop_before_workers_have_begun_is_no_failure(settings, make_run, looks):
    jobs = [Job(make_run(seed=seed, epochs=100_000), (), training=True) for seed in (0, 1, 2)]
    watch = Watch()
    outcome = run_jobs(jobs, settings, Soon(deadline=looks), watch)
    assert outcome.stopped
    assert not outcome.failed
    assert not watch.ended


def test_an_interrupt_ends_the_workers_at_once(settings, make_run):
    class Impatient(Watch):
        def update(self, job, event):
            raise KeyboardInterrupt

    before = set(multiprocessing.active_children())
    jobs = [Job(make_run(seed=seed, epochs=100_000), (), training=True) for seed in (0, 1)]
    with pytest.raises(KeyboardInterrupt):
        run_jobs(jobs, settings, Stop(), Impatient())
    ended = set(multiprocessing.active_children()) - before
    for process in ended:
        process.join(PATIENCE_SECONDS)
    assert {process.exitcode for process in ended} <= {-signal.SIGKILL}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_answered_once_and_the_second_ctrl_c_interrupts(number, capfd):
    with stop_on_signals(Stop()) as stop:
        os.kill(os.getpid(), number)
        assert stop.now()
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)  # `timeout -s INT` sends it to the process and to its group
        time.sleep(AT_ONCE_SECONDS)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    lines = capfd.readouterr().err.split()
    assert lines.count("stopping:") == 1


def test_under_torchrun_which_repeats_signals_none_of_them_interrupts(capfd):
    with stop_on_signals(Stop(), insist=False) as stop:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        assert stop.now()
    assert "again" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("number", "sign"),
    [
        (signal.SIGINT, "store/data/*/manifest.json"),  # of the data
        (signal.SIGTERM, "results/tiny/logs/check.log"),  # of the process that loads libraries and checks networks
        (signal.SIGINT, "results/tiny/logs/worker-*.log"),
        (signal.SIGTERM, "results/tiny/logs/worker-*.log"),
    ],
)
def test_a_stop_before_anything_is_trained_leaves_runs_that_were_not_run(tmp_path, number, sign):
    place = write_project(tmp_path, epochs=100_000)
    process = start(place)
    until(lambda: list(place.glob(sign)), process)
    os.killpg(process.pid, number)  # as a terminal or a scheduler does it
    output = finish(process)
    assert "not run: stopped before" in output
    assert output.count("stopping: each run finishes its step and keeps its state; Ctrl-C again") == 1


SLOW = """
import time
from pathlib import Path
from torch import nn

class Slow(nn.Sequential):
    def forward(self, images):
        if self.training:
            Path("training").touch()
            time.sleep(36_000)
        return super().forward(images)

def factory(num_classes, image_size):
    return Slow(nn.Flatten(), nn.Linear(image_size**2, num_classes))
"""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the processes in /proc")
def test_the_second_ctrl_c_does_not_wait_for_a_step_that_does_not_end(tmp_path):
    place = write_project(tmp_path)
    (place / "slow.py").write_text(SLOW)
    process = start(place, "--subject", "slow:factory")
    until((place / "training").exists, process)
    os.killpg(process.pid, signal.SIGINT)
    out_of_patience = threading.Timer(PATIENCE_SECONDS, os.killpg, (process.pid, signal.SIGKILL))
    out_of_patience.start()
    assert any("stopping" in line for line in iter(process.stdout.readline, ""))
    out_of_patience.cancel()
    time.sleep(AT_ONCE_SECONDS)
    os.killpg(process.pid, signal.SIGINT)
    assert "KeyboardInterrupt" in finish(process, status=2)
    until(lambda: not group(process))
