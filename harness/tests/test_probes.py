from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import HarnessError
from harness.plan.wanted import ProbeRequest
from harness.probes import PROBES, fourier, prediction
from harness.probes._fourier import relative_log_amplitude
from models import anatomy, create_model


def batches(images, labels, size):
    return list(zip(images.split(size), labels.split(size), strict=True))


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(50, 1, 8, 8, generator=generator), torch.randint(10, (50,), generator=generator)


@pytest.fixture(scope="module", params=["vit_micro", "resnet_micro", "alter_resnet_micro"])
def model(request):
    torch.manual_seed(0)
    return create_model(request.param, num_classes=10, image_size=8, in_chans=1).eval()


def test_prediction_agrees_with_scikit_learn(model, images):
    from sklearn.metrics import accuracy_score, log_loss

    table = prediction(model, batches(*images, 20))
    with torch.no_grad():
        probabilities = model(images[0]).double().softmax(1).numpy()
    labels = images[1].numpy()
    assert table.correct.mean() == accuracy_score(labels, probabilities.argmax(1))
    assert table.nll.mean() == pytest.approx(log_loss(labels, probabilities, labels=range(10)), rel=1e-5)
    np.testing.assert_allclose(table.confidence, probabilities.max(1), rtol=1e-5)
    assert table["sample"].tolist() == list(range(50))


def naive(maps):
    """The definition in float64, step by step: full FFT, shift, log, then the diagonal from the centre."""
    size = maps.shape[-1]
    amplitude = np.abs(np.fft.fft2(maps.astype(np.float64))) + 1e-6
    shifted = np.roll(np.log(amplitude), (size // 2, size // 2), axis=(-2, -1))
    diagonal = np.array([shifted[..., i, i] for i in range(size // 2, size)])  # [k, image, channel]
    curve = diagonal.mean(axis=2).T
    return curve - curve[:, :1]


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 17), st.integers(0, 2**31))
def test_the_amplitude_is_its_definition(size, seed):
    maps = np.random.default_rng(seed).normal(size=(3, 4, size, size)).astype(np.float32)
    np.testing.assert_allclose(relative_log_amplitude(torch.from_numpy(maps)), naive(maps), atol=2e-4)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_a_sinusoid_has_its_one_bin(k):
    grid = np.arange(8)
    wave = 3 + np.cos(2 * np.pi * k * (grid[:, None] + grid[None]) / 8)
    curve = relative_log_amplitude(torch.from_numpy(wave[None, None].astype(np.float32)))[0]
    # The mean 3 puts 192 into bin 0; a cosine of amplitude 1 puts half of 64 into bin k; the rest is the floor.
    assert curve[k] == pytest.approx(np.log(32 / 192), abs=1e-3)
    assert all(curve[other] < -10 for other in range(1, 4) if other != k)


def test_a_box_blur_lowers_and_a_laplacian_raises_the_high_end_by_the_analytic_amount():
    maps = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0)) + 1
    k = np.arange(8)
    angle = 2 * np.pi * k / 16
    blurred = (maps + maps.roll(1, -1) + maps.roll(1, -2) + maps.roll((1, 1), (-2, -1))) / 4
    change = relative_log_amplitude(blurred) - relative_log_amplitude(maps)
    np.testing.assert_allclose(change, np.log(np.cos(angle / 2) ** 2)[None].repeat(4, 0), atol=1e-3)

    shifts = [maps.roll(step, axis) for axis in (-1, -2) for step in (1, -1)]
    sharpened = maps + (4 * maps - sum(shifts))
    change = relative_log_amplitude(sharpened) - relative_log_amplitude(maps)
    np.testing.assert_allclose(change, np.log(1 + 4 - 4 * np.cos(angle))[None].repeat(4, 0), atol=1e-3)


def test_maps_that_are_not_square_are_refused():
    with pytest.raises(HarnessError, match="4×6"):
        relative_log_amplitude(torch.zeros(1, 1, 4, 6))


@pytest.mark.parametrize("size", [1, 7, 50])
def test_fourier_does_not_depend_on_the_batches(model, images, size):
    whole = fourier(model, batches(*images, 25), groups=4)
    parts = fourier(model, batches(*images, size), groups=4)
    assert whole.drop(columns="delta_log_amplitude").equals(parts.drop(columns="delta_log_amplitude"))
    np.testing.assert_allclose(parts.delta_log_amplitude, whole.delta_log_amplitude, atol=1e-4)


def test_fourier_is_the_naive_computation_over_the_units_of_the_anatomy(model, images):
    kept = {}
    with torch.no_grad(), anatomy(model).reading(lambda unit, maps: kept.__setitem__(unit.index, maps.clone())):
        model(images[0])
    table = fourier(model, batches(*images, 20), groups=5)
    assert set(table.unit) == set(kept)
    for index, maps in kept.items():
        curve = naive(maps.numpy()).mean(0)
        mine = table[table.unit == index]
        mean = [np.average(rows.delta_log_amplitude, weights=rows.images) for _, rows in mine.groupby("label")]
        np.testing.assert_allclose(mean, curve, atol=1e-4)
        assert sorted(mine.label.unique()) == pytest.approx(np.linspace(0, 1, len(curve)))
        assert mine.frequency.max() == pytest.approx(2 * (len(curve) - 1) / maps.shape[-1])
    assert table.groupby("unit").images.sum().eq(50 * table.groupby("unit").label.nunique()).all()


def test_fewer_images_than_groups(model, images):
    table = fourier(model, batches(images[0][:3], images[1][:3], 3), groups=32)
    assert sorted(table["sample"].unique()) == [0, 1, 2]
    assert table.delta_log_amplitude.notna().all()


def test_probes_put_the_network_in_evaluation_mode(model, images):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for probe in (prediction, fourier):
        model.train()
        probe(model, batches(*images, 25))
        assert not model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_tables_have_the_columns_that_their_kind_declares(model, images):
    for name, probe in (("prediction", prediction), ("fourier", fourier)):
        table = probe(model, batches(*images, 25))
        assert {*PROBES[name].keys, *PROBES[name].values, "sample", "images"} <= set(table.columns)


def test_a_request_is_named_by_all_that_it_depends_on():
    kind = PROBES["fourier"].parameters
    one = ProbeRequest(probe="fourier", parameters=kind(), test_images=None)
    assert ProbeRequest.model_validate_plain(one.model_dump(mode="json")) == one
    others = [
        ProbeRequest(probe="fourier", parameters=kind(groups=16), test_images=None),
        ProbeRequest(probe="fourier", parameters=kind(), test_images=100),
    ]
    assert len({request.key("run") for request in [one, *others]} | {one.key("other")}) == 4
