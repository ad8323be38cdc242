from __future__ import annotations

import pytest
import torch
from torch import nn

from harness.plan.job import Job
from harness.store import Store
from harness.tests.test_job import do, request
from harness.training.layout import channels_last_if_it_can
from harness.training.loop import build_model

NETWORK = """
from torch import nn

class Views(nn.Module):
    def __init__(self, num_classes, image_size):
        super().__init__()
        self.convolution = nn.Conv2d(1, 4, 3, padding=1)
        self.head = nn.Linear(4 * image_size**2, num_classes)

    def forward(self, images):
        maps = self.convolution(images).relu()
        return self.head(maps.view(len(maps), -1))
"""


def is_channels_last(model):
    return all(
        weight.is_contiguous(memory_format=torch.channels_last) for weight in model.parameters() if weight.ndim == 4
    )


class Flattens(nn.Module):
    def __init__(self, flatten):
        super().__init__()
        self.convolution, self.head, self.flatten = nn.Conv2d(3, 4, 3), nn.Linear(4 * 36, 5), flatten

    def forward(self, images):
        return self.head(self.flatten(self.convolution(images)))


@pytest.mark.parametrize(
    ("flatten", "moved"), [(lambda maps: maps.flatten(1), True), (lambda maps: maps.view(len(maps), -1), False)]
)
def test_a_network_gets_the_layout_that_it_can_work_with_and_says_the_same(flatten, moved):
    model = Flattens(flatten)
    images = torch.randn(2, 3, 8, 8)
    expected = model(images)
    laid_out = channels_last_if_it_can(model, (3, 8, 8))
    assert is_channels_last(laid_out) == moved
    assert laid_out.training
    for given in (images, images.contiguous(memory_format=torch.channels_last)):
        torch.testing.assert_close(laid_out(given), expected)


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
def test_weights_that_are_made_of_others_are_no_obstacle():
    """Such a network cannot be copied."""
    model = Flattens(torch.nn.Flatten())
    model.convolution = torch.nn.utils.weight_norm(model.convolution)
    images = torch.randn(2, 3, 8, 8)
    expected = model(images)
    torch.testing.assert_close(channels_last_if_it_can(model, (3, 8, 8))(images), expected)


@pytest.mark.parametrize("name", ["resnet_micro", "timm/resnet18"])
def test_what_can_has_its_channels_last(name, make_run, digits):
    assert is_channels_last(build_model(make_run(name, stochastic_depth=0.0), digits.info))


def test_a_network_of_ones_own_that_views_its_maps_is_trained_and_has_a_spectrum(make_run, tmp_path, monkeypatch):
    (tmp_path / "viewing.py").write_text(NETWORK)
    monkeypatch.syspath_prepend(tmp_path)
    run = make_run("subject/viewing:Views", stochastic_depth=0.0)
    store, wanted = Store(tmp_path / "store"), [request("prediction"), request("hessian", images=32, top=2)]
    do(Job(run, tuple(wanted), training=True), store)
    assert all(store.read(each.key(run.run_id)) for each in wanted)
