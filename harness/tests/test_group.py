"""One run by several processes: the same weights within rounding, one checkpoint, an orderly stop."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch.distributed import TCPStore

from harness.engine.processes import start as fork
from harness.tests.sessions import PATIENCE_SECONDS, finish, harness_in

ROOT = Path(__file__).parents[2]
PROFILE = """
about = "one run"
datasets = ["digits"]
looks = [1]
images = { train = 192, test = 60 }
[roles]
vit = { name = "vit_micro", depth = 2 }
resnet = "resnet_micro"
[recipe]
epochs = 2
warmup_epochs = 1
batch_size = 32
learning_rate = 1e-3
crop_padding = 1
stochastic_depth = 0.0
"""


def command(place, options, profile):
    """`harness train` with these options, in `place`."""
    (place / "one.toml").write_text(profile)
    return ["harness", "train", "--profile", str(place / "one.toml"), "--device", "cpu", *options]


def start_torchrun(place, *options, profile=PROFILE):
    """`torchrun -m harness train` with two processes, as a person types it."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    return subprocess.Popen(
        [*torchrun, *command(place, options, profile)],
        cwd=place,
        # Should torch's threads abort one of them, its output says where.
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONFAULTHANDLER": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def train(place, *options, processes=1, profile=PROFILE, status=0):
    """What `harness train` prints in processes that have loaded torch already, told what torchrun would tell them."""
    given, told = command(place, options, profile), [{}]
    if processes > 1:
        meeting = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        place_of = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(meeting.port), "WORLD_SIZE": str(processes)}
        agent = {"TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "0"}
        ranks = map(str, range(processes))
        told = [{**place_of, **agent, "RANK": rank, "LOCAL_RANK": rank} for rank in ranks]
    logs = [place / f"{number}.log" for number in range(processes)]
    started = [fork(harness_in, place, given, its, log=log) for its, log in zip(told, logs, strict=True)]
    for process in started:
        process.join(PATIENCE_SECONDS)
    statuses = [process.exitcode for process in started]
    for process in started:
        process.kill()
    output = "".join(log.read_text() for log in logs)
    assert statuses == [status] * processes, output
    return output


def final_weights(place):
    (path,) = place.glob("results/store/runs/*/final/weights.safetensors")
    return path.parent.parent.name, load_file(path)


def test_two_processes_train_the_same_weights_as_one(tmp_path):
    alone, group = tmp_path / "alone", tmp_path / "group"
    alone.mkdir()
    group.mkdir()
    train(alone, "--role", "vit")
    finish(start_torchrun(group, "--role", "vit"))
    (one_id, one), (two_id, two) = final_weights(alone), final_weights(group)
    assert one_id == two_id
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=1e-5)
    moved = [float((one[name] - two[name]).abs().max()) for name in one]
    assert max(moved) > 0, "two processes sum in another order: equal bits would mean that one did all the work"
    again = train(group, "--role", "vit", processes=2)
    assert "trained already" in again
    assert re.search(r"vit_micro.* on digits, seed 0: \d+\.\d\d% of 60 test images right; trained in ", again)


IMAGENET = """
about = "streamed images"
datasets = ["imagenet"]
looks = [1]
images = { train = 64 }
[roles]
vit = { name = "vit_micro", depth = 2, patch_size = 56 }
[recipe]
base = "imagenet"
epochs = 1
warmup_epochs = 1
batch_size = 32
learning_rate = 1e-3
stochastic_depth = 0.0
"""


def test_two_processes_share_the_decoding_and_train_the_same_weights_as_one(tmp_path):
    image = Image.effect_noise((60, 50), 80).convert("RGB")
    for split in ("train", "val"):
        for number in range(1000):
            folder = tmp_path / "data" / "imagenet" / split / f"n{number:08d}"
            folder.mkdir(parents=True)
            image.rotate(number).save(folder / "x.JPEG")
    weights = []
    for processes in (1, 2):
        place = tmp_path / str(processes)
        place.mkdir()
        options = ("--role", "vit", "--data-root", str(tmp_path / "data"))
        train(place, *options, processes=processes, profile=IMAGENET)
        weights.append(final_weights(place))
    (one_id, one), (two_id, two) = weights
    assert one_id == two_id
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=1e-5)


THREADS_LEFT = """
import gc
from pathlib import Path
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from harness.training.group import joined

def threads():
    return {path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")}

with joined("cpu"):
    DistributedDataParallel(nn.Linear(2, 2))
    print(*threads())
gc.collect()
print(*threads())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads as Linux names them")
def test_no_thread_of_the_group_outlives_it(tmp_path):
    """One that is left when the interpreter ends can abort the process, once in many runs."""
    alone = {"WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    output = subprocess.run(
        [sys.executable, "-c", THREADS_LEFT],  # the processes of `train` have imported too much already
        cwd=tmp_path,
        env={**os.environ, **alone, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=PATIENCE_SECONDS,
    ).stdout
    during, after = output.splitlines()
    assert "gloo" in during
    assert "gloo" not in after


def test_two_processes_stop_together_and_continue(tmp_path):
    long = PROFILE.replace("epochs = 2", "epochs = 20000")
    process = start_torchrun(tmp_path, "--role", "vit", profile=long)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not list(tmp_path.glob("results/store/runs/*/step-*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGTERM)
    output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode != 0
    assert "stopped; the same command continues" in output
    (state,) = tmp_path.glob("results/store/runs/*/step-*")
    assert int(state.name.removeprefix("step-")) > 0


@pytest.mark.parametrize(
    ("options", "processes", "message"),
    [
        (("--role", "resnet"), 2, "BatchNorm's statistics are shared among GPUs only"),
        (("--role", "vitt"), 1, "no role 'vitt' in profile one; did you mean 'vit'?"),
        (("--role", "vit", "--dataset", "cifar10"), 1, "no data set 'cifar10' in profile one"),
    ],
)
def test_what_cannot_be_trained_is_one_line(tmp_path, options, processes, message):
    output = train(tmp_path, *options, processes=processes, status=1)
    assert f"error: {message}" in output
