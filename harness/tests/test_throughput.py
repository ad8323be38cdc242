"""Throughput, on a clock that the networks themselves move on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from harness.probes import _throughput, throughput
from models import create_model
from models.alternet import MSABlock


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 0.0

        def takes(self, module, seconds):
            """Each forward pass of this module."""
            module.register_forward_hook(lambda *_: setattr(self, "now", self.now + seconds))

    clock = Clock()
    Clock.__deepcopy__ = lambda self, _: self  # the copy that is trained moves the same clock
    monkeypatch.setattr(_throughput.time, "perf_counter", lambda: clock.now)
    return clock


def batch(images=12, size=8):
    return [(torch.randn(images, 1, size, size), torch.full((images, 10), 0.1))]


def test_it_is_the_images_of_a_batch_by_the_seconds_of_a_step(clock):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    clock.takes(model[1], 0.25)
    table = throughput(model, batch(), repetitions=4)
    assert table.what.unique().tolist() == ["network"]  # of a network without known blocks there is no more to time
    assert table["sample"].tolist() == [0, 1, 2, 3]
    assert table.images_per_second.tolist() == [48.0] * 4


def test_blocks_of_one_stage_take_turns_on_the_same_maps(clock):
    model = create_model("alter_resnet_micro", num_classes=10, image_size=8, in_chans=1)
    last = model.stages[-1]
    kinds = [isinstance(block, MSABlock) for block in last]
    assert kinds == [False, True, False, True]
    for block, seconds in zip(last, (8.0, 16.0, 2.0, 4.0), strict=True):
        clock.takes(block, seconds)
    table = throughput(model, batch(), repetitions=3).groupby("what").images_per_second
    assert table.count().to_dict() == {"conv block": 3, "msa block": 3, "network": 3}
    np.testing.assert_allclose(table.mean()[["network", "conv block", "msa block"]], [12 / 30, 12 / 2, 12 / 4])
    assert table.std().max() == 0


def test_a_network_without_msas_has_no_blocks_to_compare():
    model = create_model("preact_resnet_micro", num_classes=10, image_size=8, in_chans=1)
    assert throughput(model, batch(), repetitions=2).what.unique().tolist() == ["network"]
