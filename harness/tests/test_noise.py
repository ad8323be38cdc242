from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.probes import noise
from harness.probes._noise import band, band_noise, share
from harness.readings import amplitude_of_loss, calibrated, noise_losses
from models import create_model

GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.randn(60, 1, 8, 8, generator=GENERATOR)
LABELS = torch.randint(10, (60,), generator=GENERATOR)
SIZES = st.integers(3, 40)
FREQUENCIES = st.sampled_from([tenth / 10 for tenth in range(1, 10)])
SHAPES = st.sampled_from(["square", "circular"])


def radius(height, width, shape):
    """|ω| in π of every bin of the full, unshifted frequency plane, by the definition of the discrete transform."""
    plane = np.zeros((height, width))
    for row in range(height):
        for column in range(width):
            y, x = 2 * min(row, height - row) / height, 2 * min(column, width - column) / width
            plane[row, column] = max(x, y) if shape == "square" else np.hypot(x, y)
    return plane


@settings(max_examples=60, deadline=None)
@given(SIZES, SIZES, FREQUENCIES, SHAPES, st.integers(1, 4), st.integers(0, 2**31))
def test_the_spectrum_of_what_is_added_lies_inside_its_band(height, width, frequency, shape, channels, seed):
    white = torch.randn(2, channels, height, width, generator=torch.Generator().manual_seed(seed))
    added = band_noise(white, band(height, width, frequency, shape=shape))
    assert added.shape == white.shape
    assert added.dtype == torch.float32  # real
    spectrum = np.abs(np.fft.fft2(added.double().numpy()))
    rings = radius(height, width, shape)
    inside = (rings > frequency - 0.05 - 1e-6) & (rings < frequency + 0.05 + 1e-6) & (rings > 0)
    if not inside.any():  # the image is too small for this band: its nearest ring
        distance = np.where(rings > 0, np.abs(rings - frequency), np.inf)
        inside = distance <= distance.min() + 1e-6
    assert spectrum[..., ~inside].max(initial=0) < 1e-4 * spectrum.max()


@pytest.mark.parametrize("shape", ["square", "circular"])
@pytest.mark.parametrize(("height", "width"), [(32, 32), (31, 33), (8, 9)])
def test_the_energy_is_the_share_of_the_plane(height, width, shape):
    white = torch.randn(4000, 1, height, width, generator=torch.Generator().manual_seed(0))
    for frequency in (0.1, 0.5, 0.9):
        mask = band(height, width, frequency, shape=shape)
        energy = band_noise(white, mask).square().mean().item()
        assert energy == pytest.approx(share(mask, width), rel=0.03)


@pytest.mark.parametrize("shape", ["square", "circular"])
def test_bands_of_a_tenth_do_not_overlap(shape):
    masks = [band(224, 224, tenth / 10, shape=shape) for tenth in range(1, 10)]
    assert torch.stack(masks).sum(0).max() == 1
    rings = radius(224, 224, shape)
    everything = ((rings > 0.05 - 1e-9) & (rings < 0.95 - 1e-9)).sum() / 224**2
    assert sum(share(mask, 224) for mask in masks) == pytest.approx(everything)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return create_model("vit_micro", num_classes=10, image_size=8, in_chans=1).eval()


@torch.no_grad()
def right_answers(model):
    return model(IMAGES).argmax(1)


def batches(labels, size):
    return zip(IMAGES.split(size), labels.split(size), strict=True)


def test_no_noise_costs_nothing_and_much_noise_much(model):
    table = noise(model, batches(right_answers(model), 20), amplitudes=(0.0, 30.0))
    assert set(table[table.amplitude == 0].delta_accuracy) == {0.0}
    assert set(table[table.amplitude == 0].accuracy) == {100.0}
    assert table[table.amplitude == 30].groupby("frequency").delta_accuracy.mean().max() < -5


@pytest.mark.parametrize("size", [1, 7, 60])
def test_noise_does_not_depend_on_the_batches(model, size):
    assert noise(model, batches(LABELS, size)).equals(noise(model, batches(LABELS, 25)))


@pytest.mark.parametrize("size", [1, 7, 60])
def test_the_halves_are_the_images_of_even_and_of_odd_numbers_with_the_noise_that_they_have_together(model, size):
    key = ["frequency", "amplitude", "sample"]
    both = noise(model, batches(LABELS, size), groups=60).set_index(key)
    for start, half in enumerate(("even", "odd")):
        mine = noise(model, batches(LABELS, size), groups=30, half=half)
        there = both.loc[list(zip(mine.frequency, mine.amplitude, 2 * mine["sample"] + start, strict=True))]
        assert mine.accuracy.tolist() == there.accuracy.tolist()
        assert mine.delta_accuracy.tolist() == there.delta_accuracy.tolist()


class Listener(torch.nn.Module):
    """Keeps what it is shown."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, images):
        self.seen.append(images)
        return torch.zeros(len(images), 10)


@pytest.mark.parametrize("channels", [1, 3])
def test_all_networks_get_the_same_noise_of_the_same_energy(channels):
    images, heard = IMAGES.repeat(1, channels, 1, 1), []
    for _ in range(2):
        listener = Listener()
        table = noise(listener, [(images, LABELS)], amplitudes=(0.5, 2.0), seed=3)
        heard.append(listener.seen)
    for one, other in zip(*heard, strict=True):
        assert one.equal(other)
    expected = table.drop_duplicates(["frequency", "amplitude"])
    added = [shown - images for shown in heard[0][1:]]
    for noisy, (_, row) in zip(added, expected.iterrows(), strict=True):
        assert noisy.square().mean().item() == pytest.approx(row.amplitude**2 * row.share, rel=0.15)
    assert not any(part[0].equal(part[1]) for part in added)  # every image has its own
    other_seed = Listener()
    noise(other_seed, [(images, LABELS)], amplitudes=(0.5, 2.0), seed=4)
    assert not other_seed.seen[1].equal(heard[0][1])


def test_the_amplitude_is_calibrated_at_the_lowest_frequency():
    rows = [(0.1, 0.5, -2.0, 3), (0.1, 0.5, -8.0, 1), (0.1, 1.0, -5.5, 3), (0.1, 1.0, -5.5, 1), (0.2, 0.5, -5.0, 4)]
    table = pd.DataFrame(rows, columns=["frequency", "amplitude", "delta_accuracy", "images"])
    assert calibrated(table) == 1.0  # 5.5 is nearer to 5 than the weighted mean 3.5; the plain one would be 5
    assert calibrated(table.drop(columns="images")) == 0.5


def losing(losses, clean=80.0):
    """A table of amplitude -> loss in percentage points, at the lowest frequency; twice that at the next."""
    rows = [
        {"frequency": f, "amplitude": a, "delta_accuracy": -k * loss, "accuracy": clean - k * loss}
        for a, loss in losses.items()
        for f, k in ((0.1, 1), (0.2, 2))
    ]
    return pd.DataFrame(rows)


def test_the_amplitude_of_a_loss_lies_between_those_measured():
    assert amplitude_of_loss(losing({0.5: 2.0, 1.0: 10.0})) == pytest.approx(0.5 + 0.5 * 3 / 8)
    assert amplitude_of_loss(losing({0.5: 20.0, 1.0: 30.0})) == pytest.approx(0.125)  # from no loss without noise
    assert amplitude_of_loss(losing({1.0: 10.0, 0.5: 5.0})) == 0.5
    assert np.isnan(amplitude_of_loss(losing({0.5: 2.0, 1.0: 4.9})))


def test_losses_to_noise_are_shares_of_the_clean_accuracy():
    losses = noise_losses(losing({0.5: 8.0, 1.0: 20.0}))
    assert losses.index.tolist() == [0.0, 0.5, 1.0]
    np.testing.assert_allclose(losses, [[0, 0], [0.1, 0.2], [0.25, 0.5]])
