"""Two hosts over one folder. Here they are two names: a host does not see another's processes, only files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import torch

from harness.engine.execute import execute
from harness.plan.job import Job
from harness.store import Interrupted, Store, lease
from harness.store.lease import Lease
from harness.tests.sessions import PATIENCE_SECONDS, until

SILENT_SECONDS = 0.8  # beats come every 0.05 s

HOLD = f"""
import sys
from pathlib import Path
from harness.store import Store, lease
lease.BEAT_SECONDS, lease.SILENT_SECONDS = 0.05, {SILENT_SECONDS}
with Store(Path(sys.argv[1]), host="far").lock("runs/x") as held:
    print("held", flush=True)
    for _ in sys.stdin:
        print("lost" if held.lost else "kept", flush=True)
"""


@pytest.fixture
def near(tmp_path, monkeypatch):
    """The store as this host knows it."""
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(lease, "SILENT_SECONDS", SILENT_SECONDS)
    monkeypatch.setattr("harness.store.store.LOOK_SECONDS", 0.05)
    return Store(tmp_path / "store", host="near")


@pytest.fixture
def far(near):
    """A process of another host that holds a lock; each line on its input has it say whether it lost it."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", HOLD, str(near.root)], **pipes) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def locked_out(store, seconds):
    """Whether a lock stays out of reach for so long."""
    until = time.monotonic() + seconds
    try:
        with store.lock("runs/x", should_stop=lambda: time.monotonic() > until):
            return False
    except Interrupted:
        return True


def answer(process):
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout.readline()


def test_a_host_that_is_heard_of_keeps_its_lock_and_lets_go_at_once(near, far):
    assert locked_out(near, 2 * SILENT_SECONDS)
    assert answer(far) == "kept\n"
    far.stdin.close()
    far.wait(PATIENCE_SECONDS)
    assert not locked_out(near, SILENT_SECONDS / 2)


def test_a_host_that_died_is_followed_once_it_was_silent(near, far):
    far.kill()
    far.wait(PATIENCE_SECONDS)
    began = time.monotonic()
    with near.lock("runs/x"):
        assert time.monotonic() - began > SILENT_SECONDS


def test_a_host_that_sleeps_and_wakes_finds_its_lock_lost_and_leaves_it_to_the_other(near, far):
    far.send_signal(signal.SIGSTOP)
    with near.lock("runs/x"):
        far.send_signal(signal.SIGCONT)
        until(lambda: answer(far) == "lost\n")
        far.stdin.close()
        far.wait(PATIENCE_SECONDS)
        assert locked_out(Store(near.root, host="third"), SILENT_SECONDS)


def test_of_many_hosts_that_wait_for_a_dead_one_and_then_for_each_other_one_at_a_time_works(near, far):
    far.kill()
    far.wait(PATIENCE_SECONDS)
    inside, most, turns = [], [], []

    def work(host):
        store = Store(near.root, host=host)
        for _ in range(3):
            with store.lock("runs/x") as held:
                inside.append(host)
                most.append(len(inside))
                time.sleep(0.005)
                inside.remove(host)
                turns.append(held.lost)

    threads = [threading.Thread(target=work, args=(f"host-{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert turns == [False] * 18
    assert set(most) == {1}


def test_a_listing_that_is_out_of_date_lets_nobody_in(near, monkeypatch):
    """A shared file system may show a folder as it was some seconds ago."""
    folder = near.root
    folder.mkdir()
    before = Lease(folder, "before")
    assert before.take()
    before.release()
    holder, late = Lease(folder, "far"), Lease(folder, "near")
    assert holder.take()
    up_to_date, listings = late._numbered, [[]]
    monkeypatch.setattr(late, "_numbered", lambda: listings.pop() if listings else up_to_date())
    assert not late.take()
    assert not listings
    assert not late.take()
    assert not holder.lost
    holder.release()
    assert late.take()
    late.release()


def test_on_its_own_host_a_dead_holder_is_followed_at_once(near):
    near.root.mkdir()
    script = f"""
import os
from pathlib import Path
from harness.store.lease import Lease
assert Lease(Path({str(near.root)!r}), "near").take()
os._exit(1)
"""
    assert subprocess.run([sys.executable, "-c", script], env={**os.environ}).returncode == 1
    again = Lease(near.root, "near")
    assert again.take()
    again.release()


def test_a_run_that_another_host_took_over_is_left_to_it_and_not_trained_twice(near, make_run, monkeypatch):
    run = make_run(epochs=4, warmup_epochs=0, train_images=64)
    other = Lease(near.root / "locks" / run.folder.replace("/", "__"), "other")
    doing, ours = [], []
    monkeypatch.setattr("harness.store.store.Lease", lambda *place: ours.append(Lease(*place)) or ours[-1])

    def progress(event):
        if event.get("epoch") == 2 and 2 not in doing:  # a slow machine tells of an epoch more than once
            monkeypatch.setattr(lease, "SILENT_SECONDS", 0.0)  # we were asleep
            until(other.take)
            monkeypatch.setattr(lease, "SILENT_SECONDS", PATIENCE_SECONDS)
            until(lambda: ours[-1].lost)
        if event["doing"] == "waiting":
            other.release()
        doing.append(event["doing"] if event["doing"] != "training" else event["epoch"])

    job = Job(run, (), training=True)
    execute(job, store=near, device=torch.device("cpu"), data_root=None, progress=progress, should_stop=lambda: False)
    epochs = [entry for entry in doing if isinstance(entry, int)]
    assert set(epochs) == {1, 2, 3, 4}
    assert epochs == sorted(epochs)  # nothing from the beginning
    assert 4 not in doing[: doing.index("waiting")]  # at most a step more
    assert near.read(run.checkpoint_key)
