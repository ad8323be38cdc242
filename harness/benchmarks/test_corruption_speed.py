"""CIFAR-C on whole batches against the same an image at a time, as the published script does it.

The other side is NumPy, SciPy and Pillow on one thread, with a loop over images only: no loop over pixels but where the
script has one (`glass_blur`). One by one this side has one thread too; together, every core, as a probe on an idle
machine. Nothing is asserted: read `times_as_fast`.
"""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from scipy import ndimage

from harness.corruptions import CORRUPTIONS, EXTRA, corrupt
from harness.corruptions.constants import CONSTANTS
from harness.store.provenance import cores
from harness.tests import slow_corruptions as slow

SEVERITY = 3
COUNT, ALONE = 1000, 20  # images in the batch, and of the other side
DRAWN = np.random.default_rng(0)


@pytest.fixture(scope="module")
def photos():
    """uint8 images as smooth as photos are."""
    coarse = torch.randn(COUNT, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(coarse, size=32, mode="bicubic") * 55 + 120
    return smooth.clamp(0, 255).to(torch.uint8)


def noise(name):
    def noisy(x, constant):
        if name == "shot_noise":
            return slow.cut_off(DRAWN.poisson(x * constant) / constant)
        if name == "impulse_noise":
            return slow.cut_off(np.where(DRAWN.random(x.shape) < constant, DRAWN.integers(2, size=x.shape), x))
        return slow.cut_off(x + constant * DRAWN.normal(size=x.shape) * (x if name == "speckle_noise" else 1))

    return noisy


def zoom_blur(x, factors):
    total = x.copy()
    for factor in 1 + np.arange(int(factors)) / 100:
        inner = int(np.ceil(32 / factor))
        top = (32 - inner) // 2
        zoomed = ndimage.zoom(x[top : top + inner, top : top + inner], (factor, factor, 1), order=1)
        cut = (len(zoomed) - 32) // 2
        total += zoomed[cut : cut + 32, cut : cut + 32]
    return slow.cut_off(total / (int(factors) + 1))


def glass_blur(x, sigma, reach, iterations):
    shifts = DRAWN.integers(-1, 1, size=(int(iterations), 2, 30, 30))
    return slow.glass_blur(x, sigma, reach, iterations, shifts)


def elastic_transform(x, *constants):
    return slow.elastic_transform(x, *constants, DRAWN.normal(size=(3, 2)), DRAWN.uniform(-1, 1, size=(2, 32, 32)))


ONE_BY_ONE = {
    **{name: noise(name) for name in ("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise")},
    **{name: getattr(slow, name) for name in ("defocus_blur", "gaussian_blur", "contrast", "pixelate")},
    "jpeg_compression": slow.jpeg_compression,
    "zoom_blur": zoom_blur,
    "glass_blur": glass_blur,
    "elastic_transform": elastic_transform,
}


def seconds_one_by_one(photos, name):
    """Of an image, the fastest of three passes; None where there is no such code to compare with."""
    if name not in ONE_BY_ONE:
        return None
    images = [image / 255 for image in photos[:ALONE].permute(0, 2, 3, 1).numpy()]
    passes = []
    for _ in range(3):
        begin = time.perf_counter()
        for image in images:
            ONE_BY_ONE[name](image, *CONSTANTS[name][SEVERITY - 1])
        passes.append(time.perf_counter() - begin)
    return min(passes) / ALONE


@pytest.mark.benchmark(group="corruptions together")
def test_all_without_a_codec_on_all_cores(benchmark, photos):
    names = [name for name in ONE_BY_ONE if name != "jpeg_compression"]
    alone = sum(seconds_one_by_one(photos, name) for name in names)

    def together():
        for name in names:
            corrupt(photos, name, SEVERITY)

    threads = torch.get_num_threads()
    torch.set_num_threads(cores())
    benchmark.pedantic(together, rounds=3, warmup_rounds=1)
    torch.set_num_threads(threads)
    if benchmark.stats:
        benchmark.extra_info["threads"] = cores()
        benchmark.extra_info["times_as_fast"] = alone / (benchmark.stats.stats.min / COUNT)


@pytest.mark.benchmark(group="corruptions")
@pytest.mark.parametrize("name", CORRUPTIONS + EXTRA)
def test_corruption(benchmark, photos, name):
    alone = seconds_one_by_one(photos, name)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the other side has
    benchmark.pedantic(corrupt, (photos, name, SEVERITY), rounds=3, warmup_rounds=1)
    torch.set_num_threads(threads)
    if benchmark.stats:
        each = benchmark.stats.stats.min / COUNT
        benchmark.extra_info["images_per_second"] = 1 / each
        if alone is not None:
            benchmark.extra_info["times_as_fast"] = alone / each
