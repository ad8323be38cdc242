"""Before anything is trained: the device is chosen and networks are looked at, elsewhere than in the parent."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from torch import nn

import harness.probes
from harness.engine.check import checked_device
from harness.engine.processes import CONTEXT, LOADED, start, worker_environment
from harness.engine.stop import Stop
from harness.errors import HarnessError
from harness.plan.job import Job
from harness.plan.wanted import ProbeRequest
from harness.probes.kinds import PROBES
from harness.tests.sessions import ROOT
from models import UnknownAnatomy


def request(name):
    return ProbeRequest(probe=name, parameters=PROBES[name].parameters(), test_images=60)


@pytest.mark.parametrize("name", PROBES)
def test_a_probe_says_whether_it_needs_the_units_of_a_network(name):
    """On a network of no registered block: refused by those that say so, and by no others."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    images, labels = torch.randn(8, 1, 4, 4), torch.arange(8) % 3
    small = {"similarity": {"minibatch": 4}, "landscape": {"points": 3, "directions": 1}, "hessian": {"top": 1}}
    kind = PROBES[name]
    parameters = kind.parameters(**small.get(name, {})).model_dump()
    for of_the_data in (
        "images",
        "draw",
        "batch_size",
        "augment",
        "augmentation",
        *(["seed"] if kind.split == "train" else []),
    ):
        parameters.pop(of_the_data, None)
    if kind.pixels:
        parameters |= {"mean": (0.5,), "std": (0.25,), "corruptions": ("contrast",), "official": None}
    if "groups" in parameters:
        parameters["groups"] = 2
    targets = labels if kind.split == "test" else nn.functional.one_hot(labels, 3).float()
    measure = getattr(harness.probes, name)
    if kind.of_units:
        with pytest.raises(UnknownAnatomy):
            measure(model, [(images, targets)], **parameters)
    else:
        assert len(measure(model, [(images, targets)], **parameters))


NETWORK = """
from torch import nn

def plain(num_classes, image_size):
    return nn.Sequential(nn.Flatten(), nn.Linear(image_size**2, num_classes))

def broken(num_classes, image_size):
    raise ZeroDivisionError("a slip of the pen")
"""


@pytest.fixture
def subject(tmp_path, monkeypatch, make_run):
    """A run of a person's own network, by the name of its factory."""
    (tmp_path / "own_network.py").write_text(NETWORK)
    monkeypatch.syspath_prepend(tmp_path)
    return lambda factory: make_run(f"subject/own_network:{factory}", stochastic_depth=0.0)


def test_an_unknown_anatomy_is_refused_where_a_probe_needs_it_and_nowhere_else(subject, tmp_path):
    run = subject("plain")
    needless = [Job(run, (request("prediction"), request("fit")), training=True)]
    assert checked_device(needless, "cpu", tmp_path / "logs", Stop()) == ("cpu", torch.cuda.device_count())
    needing = [*needless, Job(run.model_copy(update={"seed": 1}), (request("variance"),), training=False), *needless]
    with pytest.raises(HarnessError) as refused:
        checked_device(needing, "cpu", tmp_path / "logs", Stop())
    (line,) = str(refused.value).splitlines()
    assert line.startswith("subject/own_network:plain for digits (8×8): no block class of Sequential is registered")
    assert "models.register(ItsBlock, [models.Part(" in line


def test_what_a_persons_network_raises_is_one_line(subject, tmp_path):
    with pytest.raises(HarnessError, match=r"^subject/own_network:broken for .*: ZeroDivisionError: a slip of the pen"):
        checked_device([Job(subject("broken"), (), training=True)], "cpu", tmp_path / "logs", Stop())


def _tell(channel):
    environment = {name: os.environ[name] for name in worker_environment()}
    threads = sys.platform == "linux" and len(os.listdir("/proc/self/task"))
    channel.send((environment, "timm" in sys.modules, threads))
    print("said")


def test_a_process_has_the_workers_environment_and_one_thread_and_its_own_log(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    before = dict(os.environ)
    ours, theirs = CONTEXT.Pipe()
    process = start(_tell, theirs, log=tmp_path / "log")
    environment, loaded, threads = ours.recv()
    process.join()
    assert (environment["OMP_NUM_THREADS"], loaded, threads) == ("1", True, 1)
    assert "glibc.malloc" in environment["GLIBC_TUNABLES"]
    assert dict(os.environ) == before
    assert (tmp_path / "log").read_text() == "said\n"


def test_loading_touches_no_gpu():
    """What has touched one must not be forked."""
    code = f"""
import importlib
import torch

def touched(*_):
    raise AssertionError("a GPU was touched")

for name in ("is_available", "device_count", "init", "_lazy_init", "current_device"):
    setattr(torch.cuda, name, touched)
for name in {LOADED}:
    importlib.import_module(name)
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
