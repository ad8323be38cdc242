from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import HarnessError
from harness.probes import fourier, variance
from harness.probes._variance import spatial_variance
from models import anatomy, create_model

IMAGES = torch.randn(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module", params=["resnet_micro", "pit_micro", "swin_micro"])
def model(request):
    torch.manual_seed(0)
    return create_model(request.param, num_classes=10, image_size=8, in_chans=1).eval()


def naive(maps):
    """The definition in float64 and plain loops."""
    total = 0.0
    for image in maps.astype(np.float64):
        for channel in image:
            places = channel.ravel().tolist()
            mean = sum(places) / len(places)
            total += sum((place - mean) ** 2 for place in places) / (len(places) - 1)
    return total / (maps.shape[0] * maps.shape[1])


def read(model, images):
    kept = {}
    with torch.no_grad(), anatomy(model).reading(lambda unit, maps: kept.__setitem__(unit.index, maps.clone())):
        model(images)
    return kept


def test_variance_is_the_naive_computation_over_the_units_of_the_anatomy(model):
    kept = read(model, IMAGES)
    table = variance(model, IMAGES, groups=7)
    assert set(table.unit) == set(kept)
    for index, maps in kept.items():
        rows = table[table.unit == index]
        assert np.average(rows.variance, weights=rows.images) == pytest.approx(naive(maps.numpy()), rel=1e-5)
        assert rows.images.sum() == len(IMAGES)
        assert (rows.height == maps.shape[-2]).all()


def test_a_large_mean_does_not_drown_the_variance():
    maps = torch.randn(5, 3, 7, 6, generator=torch.Generator().manual_seed(0)) + 300
    assert spatial_variance(maps).mean().item() == pytest.approx(naive(maps.numpy()), rel=1e-5)


def test_the_variance_of_a_checkerboard():
    board = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(2, 2)  # 16 places of ±1: 16/15
    assert spatial_variance(3 * board[None, None]).item() == pytest.approx(9 * 16 / 15)


def test_a_map_of_one_place_has_no_variance_and_no_row():
    torch.manual_seed(0)
    model = create_model("resnet_micro", num_classes=10, image_size=8, in_chans=1)
    kept = read(model.eval(), IMAGES[:2, :, :2, :2])
    table = variance(model, IMAGES[:2, :, :2, :2])
    assert set(table.unit) == {index for index, maps in kept.items() if maps.shape[-1] > 1} < set(kept)
    assert table.variance.notna().all()


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 17), min_size=1, max_size=8))
def test_no_probe_of_units_depends_on_how_the_images_are_cut(sizes):
    torch.manual_seed(0)
    model = create_model("resnet_micro", num_classes=10, image_size=8, in_chans=1)
    images = IMAGES.repeat(4, 1, 1, 1)[: sum(sizes)]
    batches = images.split(sizes)
    for probe, column in ((variance, "variance"), (fourier, "delta_log_amplitude")):
        whole, parts = probe(model, images, groups=4), probe(model, batches, groups=4)
        assert whole.drop(columns=column).equals(parts.drop(columns=column))
        np.testing.assert_allclose(parts[column], whole[column], atol=1e-4)


def test_images_come_as_a_tensor_or_as_batches_with_or_without_labels(model):
    expected = variance(model, IMAGES)
    assert variance(model, [IMAGES]).equals(expected)
    assert variance(model, iter([(IMAGES, torch.zeros(40))])).equals(expected)


@pytest.mark.parametrize("wrong", [IMAGES[0], [IMAGES[0]], (IMAGES, torch.zeros(40)), [[1, 2]]])
def test_what_is_no_batch_of_images_is_refused(model, wrong):
    with pytest.raises(HarnessError, match=r"\[batch, channel, height, width\]"):
        variance(model, wrong)


def test_no_images_are_refused(model):
    with pytest.raises(HarnessError, match="without images"):
        variance(model, [])


def test_a_network_that_says_nothing_of_its_size_is_measured_at_that_of_the_images():
    torch.manual_seed(0)
    network = create_model("resnet_micro", num_classes=10, image_size=8, in_chans=1)
    bare = torch.nn.Sequential(*network.children())
    assert not hasattr(bare, "example_shape")
    named, unnamed = variance(network, IMAGES), variance(bare, IMAGES)
    assert unnamed.variance.tolist() == named.variance.tolist()
