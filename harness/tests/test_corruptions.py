from __future__ import annotations

import io
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import stats

from harness.corruptions import CORRUPTIONS, EXTRA, GROUPS, corrupt, source_of
from harness.corruptions.constants import CONSTANTS
from harness.corruptions.draws import Draws
from harness.corruptions.filters import zoom_matrix
from harness.corruptions.frost import FILES, TEXTURES, photographs, surrogate
from harness.corruptions.noise import CHANNELS, aliases
from harness.errors import HarnessError
from harness.store.identity import subseed
from harness.tests import slow_corruptions as slow

NAMES = CORRUPTIONS + EXTRA
DETERMINISTIC = (
    "defocus_blur",
    "zoom_blur",
    "brightness",
    "contrast",
    "pixelate",
    "jpeg_compression",
    "gaussian_blur",
    "saturate",
)
SEVERITIES = (1, 2, 3, 4, 5)


def smooth(count, side=32, seed=0):
    """uint8 images as smooth as photos, with flat black and white corners."""
    stream = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, 3, 5, 5, generator=stream)
    photos = torch.nn.functional.interpolate(coarse, size=side, mode="bicubic") * 70 + 120
    photos += 12 * torch.randn(count, 3, side, side, generator=stream)
    photos[..., : side // 4, : side // 4], photos[..., -side // 4 :, -side // 4 :] = 0, 255
    return photos.clamp(0, 255).to(torch.uint8)


PHOTOS = smooth(4)


def unit(image):
    return image.permute(1, 2, 0).numpy() / 255


def pixels(image):
    return image.permute(1, 2, 0).numpy()


def draws_of(name, severity, number):
    return Draws(subseed(0, name, severity), torch.tensor([number]))


# --- the corruptions against their definitions ------------------------------------------------------------------------


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("name", DETERMINISTIC)
def test_the_deterministic_ones_are_their_definition_bit_for_bit(name, severity):
    found = corrupt(PHOTOS, name, severity)
    for image, mine in zip(PHOTOS, found, strict=True):
        np.testing.assert_array_equal(pixels(mine), getattr(slow, name)(unit(image), *CONSTANTS[name][severity - 1]))


RANDOM = {
    "glass_blur": lambda draws, _: [[-draws.integers(2, 30, 30, below=2)[0].numpy() for _ in range(2)]],
    "motion_blur": lambda draws, _: [draws.uniform(low=-45.0, high=45.0).item()],
    "snow": lambda draws, _: [draws.normal(32, 32)[0].numpy(), draws.uniform(low=-135.0, high=-45.0).item()],
    "fog": lambda draws, _: [[draws.uniform(3, 2**n, 2**n)[0].numpy() for n in range(5)]],
    "elastic_transform": lambda draws, constants: [
        draws.uniform(3, 2, low=-constants[2], high=constants[2])[0].numpy(),
        draws.uniform(2, 32, 32, low=-1.0, high=1.0)[0].numpy(),
    ],
    "spatter": lambda draws, _: [draws.normal(1, 32, 32)[0, 0].numpy()],
}


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("name", RANDOM)
def test_the_random_ones_are_their_definition_for_the_same_draws(name, severity):
    constants = CONSTANTS[name][severity - 1]
    found = corrupt(PHOTOS[:2], name, severity, first=7)
    for number, (image, mine) in enumerate(zip(PHOTOS[:2], found, strict=True), start=7):
        drawn = RANDOM[name](draws_of(name, severity, number), constants)
        theirs = getattr(slow, name)(unit(image), *constants, *drawn)
        away = np.abs(pixels(mine).astype(int) - theirs)
        assert away.max() <= 1
        assert (away > 0).mean() < 1e-2  # a last bit decides where all is flat


def test_glass_blur_copies_at_once_what_the_script_copies_one_by_one():
    for severity in SEVERITIES:
        (found,) = corrupt(PHOTOS[:1], "glass_blur", severity)
        shifts = RANDOM["glass_blur"](draws_of("glass_blur", severity, 0), None)
        theirs = slow.glass_blur(unit(PHOTOS[0]), *CONSTANTS["glass_blur"][severity - 1], *shifts)
        np.testing.assert_array_equal(pixels(found), theirs)


@pytest.mark.parametrize("factor", [1.25, 1.75, 2.25])
def test_a_zoom_is_scipys_of_the_middle(factor):
    image = np.random.default_rng(0).normal(size=(32, 32))
    inner = int(np.ceil(32 / factor))
    top = (32 - inner) // 2
    zoomed = slow.ndimage.zoom(image[top : top + inner, top : top + inner], factor, order=1)
    cut = (len(zoomed) - 32) // 2
    matrix = zoom_matrix(32, factor)
    np.testing.assert_allclose(matrix @ image @ matrix.T, zoomed[cut : cut + 32, cut : cut + 32], atol=1e-12)


def test_what_is_cut_off_and_not_rounded_darkens_by_half_a_level():
    grey = torch.randint(60, 200, (20, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    for name in ("gaussian_blur", "contrast"):
        change = corrupt(grey, name, 5).double().mean() - grey.double().mean()
        assert change == pytest.approx(-0.5, abs=0.06)


# --- noise ------------------------------------------------------------------------------------------------------------


def defined(name, constant, x, rng):
    """The definition, drawn with NumPy."""
    if name == "gaussian_noise":
        y = x + constant * rng.normal(size=x.shape)
    elif name == "speckle_noise":
        y = x + x * constant * rng.normal(size=x.shape)
    elif name == "shot_noise":
        y = rng.poisson(x * constant) / constant
    else:
        y = np.where(rng.random(x.shape) < constant, rng.integers(2, size=x.shape), x)
    return (np.clip(y, 0, 1) * 255).astype(np.uint8)


@pytest.mark.parametrize("severity", [1, 5])
@pytest.mark.parametrize("name", CHANNELS)
def test_a_noise_has_the_distribution_of_its_definition(name, severity):
    (constant,) = CONSTANTS[name][severity - 1]
    channel = CHANNELS[name](constant)
    np.testing.assert_allclose(channel.sum(1), 1, atol=1e-9)
    count, rng = 20_000, np.random.default_rng(0)
    for value in (0, 1, 40, 128, 254, 255):
        images = torch.full((count // 400, 1, 20, 20), value, dtype=torch.uint8)
        ours = corrupt(images, name, severity).numpy().ravel()
        theirs = defined(name, constant, np.full(count, value / 255), rng)
        for drawn in (ours, theirs):
            counts, expected = np.bincount(drawn, minlength=256), count * channel[value]
            assert counts[expected < 1e-6].sum() == 0
            usual = expected > 5
            statistic = ((counts - expected)[usual] ** 2 / expected[usual]).sum()
            assert statistic <= stats.chi2.ppf(1 - 1e-5, max(usual.sum() - 1, 1))


def test_alias_tables_give_back_the_probabilities():
    channel = np.random.default_rng(0).dirichlet(np.full(256, 0.1), size=20)
    kept, alias = aliases(channel)
    found = kept / 256
    np.add.at(found, (np.arange(20)[:, None], alias), (1 - kept) / 256)
    np.testing.assert_allclose(found, channel, atol=1e-12)


def test_each_value_has_noise_of_its_own():
    flat = torch.full((200, 3, 8, 8), 128, dtype=torch.uint8)
    noise = (corrupt(flat, "gaussian_noise", 3).double() - 128).flatten(1)
    correlation = np.corrcoef(noise.T.numpy())
    assert np.abs(correlation - np.eye(192)).max() < 6 / np.sqrt(200)
    assert np.abs(np.corrcoef(noise.numpy()) - np.eye(200)).max() < 6 / np.sqrt(192)


# --- draws ------------------------------------------------------------------------------------------------------------


def splitmix(state):
    """Steele, Lea & Flood (2014), in Python's integers: the next state, and the word."""
    state = (state + 0x9E3779B97F4A7C15) % 2**64
    word = state
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    word = (word ^ word >> 27) * 0x94D049BB133111EB % 2**64
    return state, word ^ word >> 31


def test_words_are_splitmix64():
    assert splitmix(0)[1] == 0xE220A8397B1DCDAF  # the published first word of seed 0
    gamma, seed = 0x9E3779B97F4A7C15, subseed(3, "draws")
    draws = Draws(seed, torch.tensor([0, 5, 49_999]))
    words = torch.cat([draws.words(3), draws.words(2)], dim=1).tolist()
    for number, found in zip((0, 5, 49_999), words, strict=True):
        state = splitmix((seed + number * gamma) % 2**64)[1]
        for word in found:
            state, expected = splitmix(state)
            assert word % 2**64 == expected


def test_numbers_have_their_distributions():
    draws = Draws(1, torch.arange(50))
    assert stats.kstest(draws.uniform(2000).numpy().ravel(), "uniform").pvalue > 1e-4
    normal = draws.normal(2001)
    assert normal.shape == (50, 2001)
    assert stats.kstest(normal.numpy().ravel(), "norm").pvalue > 1e-4
    assert np.bincount(draws.integers(2000, below=5).ravel()).tolist() == pytest.approx([20_000] * 5, rel=0.03)
    assert draws.half_words(3).dtype == torch.int32


def test_indices_choose_the_numbers_and_seeds_others():
    images = PHOTOS[:1].repeat(3, 1, 1, 1)
    first = corrupt(images, "gaussian_noise", 1, first=4)
    named = corrupt(images, "gaussian_noise", 1, indices=torch.tensor([6, 4, 5]))
    assert torch.equal(first[[2, 0, 1]], named)
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first, corrupt(images, "gaussian_noise", 1, first=4, seed=1))


@settings(max_examples=40)
@given(
    st.sampled_from(NAMES),
    st.sampled_from(SEVERITIES),
    st.lists(st.integers(0, 9999), min_size=1, max_size=3),
    st.data(),
)
def test_an_image_has_the_same_pixels_alone_as_in_any_batch(name, severity, numbers, data):
    channels, side = data.draw(st.sampled_from([(3, 32), (3, 8), (1, 8), (3, 45)])) if name != "saturate" else (3, 32)
    images = smooth(len(numbers), side)[:, :channels]
    before = images.clone()
    together = corrupt(images, name, severity, indices=torch.tensor(numbers))
    assert together.dtype == torch.uint8
    assert together.shape == images.shape
    assert torch.equal(images, before)
    chosen = data.draw(st.integers(0, len(numbers) - 1))
    alone = corrupt(images[chosen : chosen + 1], name, severity, first=numbers[chosen])
    assert torch.equal(alone[0], together[chosen])


@pytest.mark.parametrize("name", ["gaussian_noise", "glass_blur", "frost", "pixelate"])
def test_pieces_of_a_large_batch_are_joined(name):
    images = smooth(70)
    last = corrupt(images[69:], name, 3, first=69)
    assert torch.equal(corrupt(images, name, 3)[69:], last)


# --- the rest ---------------------------------------------------------------------------------------------------------


def test_the_benchmarks_fifteen_and_the_four_others():
    assert (len(CORRUPTIONS), len(EXTRA)) == (15, 4)
    assert set(GROUPS) == set(CONSTANTS) == {*CORRUPTIONS, *EXTRA}
    of_benchmark = [GROUPS[name] for name in CORRUPTIONS]
    assert [of_benchmark.count(group) for group in ("noise", "blur", "weather", "digital")] == [3, 4, 4, 4]
    assert all(len(constants) == 5 for constants in CONSTANTS.values())


PUBLISHED = {  # the first number of each severity, as the script for CIFAR-10-C has it
    "gaussian_noise": (0.04, 0.06, 0.08, 0.09, 0.10),
    "shot_noise": (500, 250, 100, 75, 50),
    "impulse_noise": (0.01, 0.02, 0.03, 0.05, 0.07),
    "defocus_blur": (0.3, 0.4, 0.5, 1, 1.5),
    "glass_blur": (0.05, 0.25, 0.4, 0.25, 0.4),
    "motion_blur": (6, 6, 6, 8, 9),
    "zoom_blur": (7, 12, 16, 21, 26),
    "snow": (0.1, 0.1, 0.15, 0.25, 0.3),
    "frost": (1, 1, 0.9, 0.85, 0.75),
    "fog": (0.2, 0.5, 0.75, 1, 1.5),
    "brightness": (0.05, 0.1, 0.15, 0.2, 0.3),
    "contrast": (0.75, 0.5, 0.4, 0.3, 0.15),
    "elastic_transform": (0, 32 * 0.05, 32 * 0.08, 32 * 0.1, 32 * 0.1),
    "pixelate": (0.95, 0.9, 0.85, 0.75, 0.65),
    "jpeg_compression": (80, 65, 58, 50, 40),
    "speckle_noise": (0.06, 0.1, 0.12, 0.16, 0.2),
    "gaussian_blur": (0.4, 0.6, 0.7, 0.8, 1),
    "spatter": (0.62, 0.65, 0.65, 0.65, 0.65),
    "saturate": (0.3, 0.1, 1.5, 2, 2.5),
}
REST = {
    "defocus_blur": ((0.4,), (0.5,), (0.6,), (0.2,), (0.1,)),
    "glass_blur": ((1, 1), (1, 1), (1, 1), (1, 2), (1, 2)),
    "motion_blur": ((1,), (1.5,), (2,), (2,), (2.5,)),
    "snow": (
        (0.2, 1, 0.6, 8, 3, 0.95),
        (0.2, 1, 0.5, 10, 4, 0.9),
        (0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 1.25, 0.65, 14, 12, 0.8),
    ),
    "frost": ((0.2,), (0.3,), (0.4,), (0.4,), (0.45,)),
    "fog": ((3,), (3,), (2.5,), (2,), (1.75,)),
    "elastic_transform": tuple(
        (32 * sigma, 32 * affine)
        for sigma, affine in ((0, 0.08), (0.2, 0.07), (0.06, 0.06), (0.04, 0.05), (0.03, 0.03))
    ),
    "spatter": (
        (0.1, 0.7, 0.7, 0.5, 0),
        (0.1, 0.8, 0.7, 0.5, 0),
        (0.3, 1, 0.69, 0.5, 0),
        (0.1, 0.7, 0.69, 0.6, 1),
        (0.1, 0.5, 0.68, 0.6, 1),
    ),
    "saturate": ((0,), (0,), (0,), (0.1,), (0.2,)),
}


@pytest.mark.parametrize("name", NAMES)
def test_constants_are_the_published_ones(name):
    rest = REST.get(name, ((),) * 5)
    for severity, found in enumerate(CONSTANTS[name]):
        assert found == pytest.approx((PUBLISHED[name][severity], *rest[severity]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "gausian_noise"}, "no corruption 'gausian_noise'; did you mean 'gaussian_noise'"),
        ({"severity": 0}, "severity 0 of fog; expected 1, 2, 3, 4 or 5"),
        ({"severity": 6}, "severity 6"),
        ({"images": torch.zeros(2, 3, 8, 8)}, "images of torch.float32; expected uint8"),
        ({"images": torch.zeros(3, 8, 8, dtype=torch.uint8)}, r"shape \(3, 8, 8\); expected \[batch, 3 or 1"),
        ({"images": torch.zeros(2, 2, 8, 8, dtype=torch.uint8)}, "expected"),
        ({"images": torch.zeros(2, 3, 8, 9, dtype=torch.uint8)}, "expected"),
        ({"indices": torch.tensor([1])}, r"indices of shape \(1,\) for 4 images"),
        ({"images": PHOTOS[:, :1], "name": "saturate"}, "saturate needs images of three channels; these have 1"),
    ],
)
def test_what_cannot_be_corrupted_is_refused_in_a_line(change, message):
    wanted = {"images": PHOTOS, "name": "fog", "severity": 1, **change}
    with pytest.raises(HarnessError, match=message) as caught:
        corrupt(wanted.pop("images"), wanted.pop("name"), wanted.pop("severity"), **wanted)
    assert "\n" not in str(caught.value)


def test_no_images_stay_none():
    assert corrupt(PHOTOS[:0], "fog", 1).shape == (0, 3, 32, 32)


# --- frost ------------------------------------------------------------------------------------------------------------


def write_photos(folder):
    """Files of different sizes whose red says which they are, and whose green and blue say which pixel."""
    folder.mkdir(parents=True)
    for number, name in enumerate(FILES):
        height, width = 200 + 20 * number, 260 - 10 * number
        pixels = np.zeros((height, width, 3), dtype=np.uint8)
        pixels[..., 0], pixels[..., 1] = 40 * number + 20, np.arange(height)[:, None]
        pixels[..., 2] = np.arange(width) % 256
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")  # lossless under whichever name
        (folder / name).write_bytes(file.getvalue())
    return folder


def test_frost_adds_a_crop_of_a_fifth_of_one_of_five_photographs(tmp_path):
    folder = write_photos(tmp_path / "photos")
    assert source_of("frost", frost=folder) == "regenerated"
    black = torch.zeros(400, 3, 32, 32, dtype=torch.uint8)
    found = corrupt(black, "frost", 4, frost=folder).double() / 0.4
    chosen = ((found[:, 0].mean((1, 2)) + 1.25 - 20) / 40).round().long()
    assert np.bincount(chosen).tolist() == pytest.approx([80] * 5, abs=40)
    for channel, axis, lengths in ((1, 1, (200, 20)), (2, 2, (260, -10))):
        steps = found[:, channel].diff(dim=axis)
        assert steps[steps > 0].mean().item() == pytest.approx(5, abs=0.1)  # every fifth pixel
        corner = found[:, channel, 0, 0]
        assert corner.min() == 0  # pixel 2, times 0.4 and cut off
        room = torch.tensor([(lengths[0] + lengths[1] * number) // 5 - 32 for number in chosen])
        assert ((corner / 5).round() < room).all()


def test_photographs_come_from_a_folder_or_an_installed_package_which_is_not_imported(tmp_path, monkeypatch):
    for package in ("corrupt_tta", "imagecorruptions"):
        monkeypatch.delitem(sys.modules, package, raising=False)
    package = tmp_path / "site" / "corrupt_tta"
    write_photos(package / "assets" / "frost")
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path / "site")
    files = photographs()
    assert files is not None
    assert [path.name for path in files] == list(FILES)
    assert source_of("frost") == "regenerated"
    (tmp_path / "empty").mkdir()
    with pytest.raises(HarnessError, match="no frost1.png, .* in .*empty; expected the photographs"):
        corrupt(PHOTOS, "frost", 1, frost=tmp_path / "empty")
    with pytest.raises(HarnessError, match="too small for images of 210×210"):
        corrupt(torch.zeros(1, 3, 210, 210, dtype=torch.uint8), "frost", 1, frost=package / "assets" / "frost")


def test_without_photographs_frost_is_a_surrogate_of_their_statistics(monkeypatch):
    monkeypatch.setattr("harness.corruptions.frost.PACKAGES", {})
    assert source_of("frost") == "surrogate"
    assert source_of("fog") == "regenerated"
    numbers = torch.arange(1500)
    textures = surrogate(32, Draws(0, numbers), torch.device("cpu")).double()
    choice = Draws(0, numbers).integers(below=5)
    for number, texture in enumerate(TEXTURES):
        mine = textures[choice == number]
        middle = mine.mean((2, 3))
        assert middle.mean(0).tolist() == pytest.approx(texture.colour, abs=6)  # at 205 some are clipped
        assert middle[:, 0].std().item() == pytest.approx(texture.between, rel=0.2)
        assert mine[:, 0].std((1, 2)).mean().item() == pytest.approx(texture.within, rel=0.1)
        power = np.abs(np.fft.rfft2(mine[:, 0].numpy())).mean(0)[1:16, 0] ** 2
        assert np.polyfit(np.log(np.arange(1, 16)), np.log(power), 1)[0] == pytest.approx(texture.slope, abs=0.3)
