"""Real sessions over a project of two tiny runs, each in a process group of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from harness.__main__ import main

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 600.0  # for what must happen sooner or later; a busy machine is no failure

CATALOGUE = """
[F1]
group = "lowpass"
title = "A claim of the test"
statement = "Made up."
figure = "Fig 2a"
dataset = "digits"
epochs = 0
models = { vit = "vit_tiny", swin = "swin_tiny" }
studies.data = { axis = "share of the images" }
[[F1.rules]]
text = "The effect lies above 0."
effects = [{ name = "effect", unit = "pp", null = 0.0, decides = true, paper = 2.0, source = "made up" }]
"""
PROFILE = """
about = "two tiny runs"
datasets = ["digits"]
looks = [2]
images = { train = 64, test = 60 }
[roles]
vit = { name = "vit_micro", depth = 1 }
[recipe]
epochs = 1
warmup_epochs = 0
batch_size = 32
"""
# An epoch on 64 images teaches nothing; whether a network has learned is another test's.
ANY_ACCURACY = "harness.judging.learned.DEVIATIONS", -9
CONFTEST = """
from harness.judging import learned

pytest_plugins = ["harness.plugin"]
learned.DEVIATIONS = -9
"""
CLAIM = """
import itertools
import pytest

@pytest.mark.claim("F1", roles=["{role}"], probes=["prediction"])
def test_claim(claim):
    values = itertools.cycle({values})
    claim.effect("{effect}", "{role}", lambda table: next(values))
"""
CONFTEST = """
import sys

pytest_plugins = ["harness.plugin"]

def pytest_unconfigure():
    print("loaded:", sorted({"torch", "timm", "torchvision"} & set(sys.modules)))
"""


def write_project(place, *, epochs=1):
    """A claim on one network and two seeds, in a folder of its own."""
    files = {
        "claims/catalogue.toml": CATALOGUE,
        "claims/test_claim.py": CLAIM.format(values="[1.0, 1.01]", role="vit", effect="effect"),
        "tiny.toml": PROFILE.replace("epochs = 1\n", f"epochs = {epochs}\n"),
        "pytest.ini": "[pytest]\n",
        "conftest.py": CONFTEST,
    }
    for name, text in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return place


def start(place, *options):
    """`pytest claims` in the project at `place`, its store beside it."""
    command = [sys.executable, "-m", "pytest", "claims", "--profile", "tiny.toml", "--device", "cpu", "-rs"]
    return subprocess.Popen(
        [*command, "--store", str(place / "store"), *options],
        cwd=place,
        # Other plugins (hypothesis, benchmark, xdist) take a third of the time of a session that finds nothing to do.
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def harness_in(place, arguments, environment):
    """`python -m harness` in this process, which is there for nothing else."""
    os.chdir(place)
    os.environ.update(environment)
    sys.argv[:] = arguments
    main()


def finish(process, status=0):
    """What it printed, once it has ended with this status."""
    output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == status, output
    return output


def kill(process):
    """The whole group, at once."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def until(happened, process=None):
    """What `happened()` gives, as soon as it gives something; a process that ends meanwhile will not make it happen."""
    began = time.monotonic()
    while not (found := happened()):
        assert process is None or process.poll() is None, process.communicate()[0]
        assert time.monotonic() - began < PATIENCE_SECONDS
        time.sleep(0.01)
    return found


def states(place):
    """What runs that are not finished have kept."""
    return list(place.glob("store/runs/*/step-*"))


def final_weights(place):
    return {path.parent.parent.name: path.read_bytes() for path in place.glob("store/runs/*/final/weights.safetensors")}


def effects(place):
    paths = sorted(place.glob("results/tiny/evidence/*/*.json"))
    return {path.parent.name: json.loads(path.read_text())["effects"] for path in paths}


def workers(place):
    """Process ids of the workers of the project's session: whoever prints into their logs (Linux)."""
    found = []
    for output in Path("/proc").glob("[0-9]*/fd/1"):
        try:
            if output.readlink().match(str(place / "results" / "tiny" / "logs" / "worker-*.log")):
                found.append(int(output.parts[2]))
        except OSError:  # ended meanwhile, or somebody else's
            continue
    return found


def group(process):
    """Process ids of a session's whole group, those that have ended and wait for their parent aside (Linux)."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, leader = entry.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(leader) == process.pid and state != "Z":
            found.append(int(entry.parts[2]))
    return found
