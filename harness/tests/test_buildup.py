"""`python -m harness buildup`: the walk, the seeds that it takes, going on after a stop, and one real tiny run."""

from __future__ import annotations

import json
import re
from collections import Counter
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from harness.__main__ import main
from harness.buildup.bench import shares
from harness.buildup.command import Wish, build_up_network
from harness.buildup.record import shown
from harness.buildup.rules import Comparison, build_up
from harness.buildup.size import size_of, widened
from harness.data import dataset_info, held_out
from harness.data.dataset import Split, balanced_subset
from harness.engine.stop import Stop
from harness.errors import HarnessError
from harness.plan.profile import load_profile
from harness.plan.run import ModelSpec
from harness.probes.kinds import PROBES
from harness.store import Interrupted, Store
from harness.store.tables import to_parquet

PROFILE = """
about = "tiny"
datasets = ["digits"]
looks = [2, 3, 6]
images = { train = 80, test = 60 }
[roles]
resnet = "resnet_micro"
[recipe]
base = "weak"
epochs = 1
warmup_epochs = 0
batch_size = 32
crop_padding = 0
flip = false
stochastic_depth = 0.0
"""
PAPER = {
    (0, 0, 0, 0): 82.48, (0, 0, 0, 1): 83.45, (0, 0, 0, 2): 83.66, (0, 0, 1, 2): 83.77, (0, 0, 2, 2): 83.52,
    (0, 1, 1, 2): 84.02, (0, 2, 1, 2): 83.39, (1, 1, 1, 2): 83.80,
}  # fmt: skip


def test_on_the_papers_accuracies_the_rules_take_the_papers_path():
    """Fig 12a, of ResNet-50 with (3,4,6,4) blocks; it also shows (0,0,3,2), which no rule asks for."""

    def compare(one, other):
        difference = PAPER[one] - PAPER[other]
        return Comparison((PAPER[one] / 100, PAPER[other] / 100), difference, difference, difference, 1, decided=True)

    steps = list(build_up((1, 2, 3, 2), 8, compare))
    assert [shown(step.placement) for step in steps] == [
        "(0,0,0,1)", "(0,0,0,2)", "(0,0,1,2)", "(0,0,2,2)", "(0,1,1,2)", "(0,2,1,2)", "(1,1,1,2)",
    ]  # fmt: skip
    assert [step.kept for step in steps] == [True, True, True, False, True, False, False]
    assert steps[-1].after == (0, 1, 1, 2)
    assert [step.why.split(",")[0] for step in steps] == [
        "rule 1: at the end of stage 4",
        "rule 1: the one before helped",
        "rule 1: stage 4 is full",
        "rule 1: the one before helped",
        "rule 2: one more in stage 3 brought no gain",
        "rule 1: the one before helped",
        "rule 2: one more in stage 2 brought no gain",
    ]
    assert [step.after for step in build_up((1, 2, 3, 2), 2, compare)] == [(0, 0, 0, 1), (0, 0, 0, 2)]
    assert list(build_up((0, 0), 2, compare)) == []


class Planted:
    """Trains nothing: leaves predictions in the store that are right as often as planted, give or take the seed."""

    def __init__(self, store, accuracy, noise, stop_after=10**6):
        self.store, self.planted, self.noise, self.left = Store(store), accuracy, noise, stop_after
        self.trained = Counter()

    def __call__(self, jobs):
        for job in jobs:
            if not self.left:
                raise Interrupted("the build-up")
            self.left -= 1
            placement = tuple(job.run.model.overrides.get("alternate", {}).get("placement", (0, 0)))
            self.trained[str(job.run), placement, job.probes[0].held_out is None] += 1
            random = np.random.default_rng([job.run.seed, *placement])
            share = self.planted[placement] + self.noise.get(placement, 0.0) * random.standard_normal()
            correct = (np.arange(1000) % 100 < round(100 * share)).astype(float)
            table = pd.DataFrame({"sample": range(1000), "images": 1, "correct": correct, "nll": 0.0})
            for probe in job.probes:
                self.store.write(probe.key(job.run.run_id), {"table.parquet": to_parquet(table)}, {})


PLANTED = {(0, 0): 0.5, (0, 1): 0.8, (0, 2): 0.8, (1, 1): 0.9}
NOISE = {(0, 2): 0.05}


@pytest.fixture
def wish(tmp_path):
    (tmp_path / "tiny.toml").write_text(PROFILE)
    profile = load_profile(str(tmp_path / "tiny.toml"))
    place = tmp_path / "results", tmp_path / "store", None, "cpu", 1
    return Wish(ModelSpec(name="preact_resnet_micro"), profile, "digits", None, *place)


def test_a_single_seed_decides_no_step(wish, capsys):
    one = replace(wish, profile=wish.profile.model_copy(update={"most_seeds": 1}))
    record = build_up_network(one, Stop(), Planted(wish.store, PLANTED | {(1, 2): 0.9}, NOISE))
    assert not any(step.comparison.decided for step in record.steps)
    json.loads(json.dumps(record.result()), parse_constant=pytest.fail)
    out = capsys.readouterr().out
    assert "held out: 50.00% -> 80.00%, +30.00 pp over 1 seed\n" in out
    assert "a gain, by its mean: undecided, a single seed has no interval; kept" in out


def test_seeds_are_added_only_where_a_step_is_undecided(wish, capsys):
    planted = Planted(wish.store, PLANTED | {(1, 2): 0.9}, NOISE)
    record = build_up_network(wish, Stop(), planted)
    assert [(step.placement, step.comparison.seeds) for step in record.steps][:2] == [((0, 1), 2), ((0, 2), 6)]
    assert not record.steps[1].comparison.decided
    assert [step.comparison.decided for step in record.steps if step is not record.steps[1]] == [True, True]
    seeds = Counter(placement for _, placement, tested in planted.trained if not tested)
    assert seeds[0, 0] == 2  # never compared again once it was beaten
    assert seeds[0, 1] == seeds[0, 2] == 6
    out = capsys.readouterr().out
    assert "rule 3: heads double from stage to stage, 3, 6 heads of 8 channels" in out
    assert "held out: 50.00% -> 80.00%, +30.00 pp [" in out
    assert "undecided, the interval holds 0; " in out
    assert re.search(r"22,882 parameters, 0.48 M multiply-adds -> 25,011 parameters", out)
    assert not any(tested for _, placement, tested in planted.trained if placement not in ((0, 0), record.final))


def test_a_convolutional_network_of_its_size_is_the_control(wish, capsys):
    """Planted like the network without MSAs, its spec tells them apart: it is as accurate as none, and loses."""
    record = build_up_network(wish, Stop(), Planted(wish.store, PLANTED | {(1, 2): 0.9}, NOISE))
    assert record.tested.control.startswith("preact_resnet_micro(widths=")
    assert abs(record.tested.control_size.parameters / record.sizes[record.final].parameters - 1) < 0.15
    assert record.tested.above_control.gain
    info = dataset_info("digits")
    assert widened(ModelSpec(name="timm/resnet18"), 10**7, info) is None
    wide = widened(wish.model, 4 * size_of(wish.model, info).parameters, info)
    assert size_of(wide, info).parameters == pytest.approx(4 * size_of(wish.model, info).parameters, rel=0.1)
    capsys.readouterr()


def test_stopped_anywhere_it_goes_on_and_trains_nothing_twice(wish, capsys):
    whole = None
    done = Counter()
    for _ in range(100):
        planted = Planted(wish.store, PLANTED | {(1, 2): 0.9}, NOISE, stop_after=5)
        with suppress(HarnessError):  # "stopped; the same command goes on ..."
            whole = build_up_network(wish, Stop(), planted)
        done += planted.trained
        if whole:
            break
    assert sum(done.values()) > 15
    assert set(done.values()) == {1}
    log = [json.loads(line) for line in (wish.results / "log.jsonl").read_text().splitlines()]
    assert [line["event"] for line in log] == ["begin", *["step"] * len(whole.steps), "test"]
    capsys.readouterr()


def run(*options, store, results):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["harness", "buildup", *options, "--store", str(store), "--results", str(results)])
        main()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--model", "vit_micro"], "VisionTransformer has no stage of convolutional blocks"),
        (["--model", "alter_resnet_micro"], "alter_resnet_micro has 2 MSAs already; begin with a convolutional"),
        (["--model", "resnet_mircro"], "unknown model 'resnet_mircro'"),
        (["--model", "resnet_micro", "--seeds", "0"], "--seeds 0: at least one"),
    ],
)
def test_what_cannot_be_built_up_is_said_in_a_line(options, says, tmp_path, data_store, digits):
    with pytest.raises(SystemExit, match=re.escape(f"error: {says}")) as raised:
        run(*options, store=data_store.root, results=tmp_path / "results")
    assert "\n" not in str(raised.value)


OWN = """
from torch import nn
from torch.nn import functional as F
from models import Part, register

class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, 1, 1)

    def forward(self, x):
        return F.relu(x + self.conv(x))

register(Block, [Part("", "conv", branch="conv")])

def net(num_classes, image_size, in_chans):
    blocks = [Block(8) for _ in range(2)]
    head = nn.AvgPool2d(8), nn.Flatten(), nn.Linear(8, num_classes)
    return nn.Sequential(nn.Conv2d(in_chans, 8, 3, 1, 1), *blocks, *head)
"""


def test_ones_own_network_on_real_digits(tmp_path, capsys):
    (tmp_path / "net.py").write_text(OWN)
    (tmp_path / "tiny.toml").write_text(PROFILE.replace("[2, 3, 6]", "[2]"))
    options = ["--subject", f"{tmp_path}/net.py:net", "--profile", f"{tmp_path}/tiny.toml", "--device", "cpu"]
    place = {"store": tmp_path / "store", "results": tmp_path / "results"}
    run(*options, **place)
    out = capsys.readouterr().out
    assert "step 1: (0) -> (1); rule 1: at the end of stage 1" in out
    assert out.count(": done") >= 4
    result = json.loads((tmp_path / "results" / "result.json").read_text())
    assert result["model"] == "subject/net.py:net"
    assert 0 <= result["tested"]["accuracy"] <= 1
    page = (tmp_path / "results" / "buildup.html").read_text()
    assert page.count("<svg") == 2
    assert "60 training images" in page
    run(*options, **place)
    again = capsys.readouterr().out
    assert ": done" not in again
    assert [line for line in out.splitlines() if "done" not in line] == again.splitlines()


def test_held_out_images_are_balanced_and_no_ones_training_images():
    labels = np.repeat(np.arange(4), (30, 25, 40, 20))
    split = Split(np.arange(len(labels)), labels)
    trained, out = shares(len(labels), 4, 20)
    assert (trained, out) == (64, 16)
    chosen = held_out(split, trained, out)
    assert not set(chosen.images) & set(balanced_subset(split, trained).images)
    assert np.bincount(chosen.labels).tolist() == [4, 4, 4, 4]
    assert np.array_equal(labels[chosen.images], chosen.labels)


def test_tables_of_test_images_keep_their_names():
    from harness.plan.wanted import ProbeRequest
    from harness.store.identity import short_digest

    request = ProbeRequest(probe="prediction", parameters=PROBES["prediction"].parameters(), test_images=60)
    before = {"probe": "prediction", "parameters": {"images": None}, "test_images": 60, "epoch": None}
    assert request.key("run") == f"probes/run/prediction-{short_digest({'version': 2, **before})}"
    assert request.model_copy(update={"held_out": 10}).key("run") != request.key("run")
