"""A point of a loss landscape beside the plain forward pass of its images, in turn; and a whole landscape of digits.

Nothing is asserted: read `ratio`, the time of a point over that of a plain pass, and `seconds_a_point`. Set
OMP_NUM_THREADS for the number of cores.
"""

from __future__ import annotations

import statistics
import time

import pytest
import torch

from harness.data import balanced_subset, load_dataset
from harness.plan.recipe import Recipe
from harness.probes._landscape import landscape
from harness.store import Store
from harness.training.batch import training_batches
from harness.training.resident import Resident
from models import create_model

GPU = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")]
DEVICES = [("cpu", 1), *(pytest.param(("cuda", at_once), marks=GPU) for at_once in (1, 4, 16))]
MODELS = [("resnet_micro", 8), ("vit_micro", 8), ("resnet_mini", 32), ("vit_mini", 32)]
IMAGES = {8: 500, 32: 125}
BATCH, POINTS = 250, 5


def network(name, size, channels, device="cpu"):
    torch.manual_seed(0)
    return create_model(name, num_classes=10, image_size=size, in_chans=channels).to(device).eval()


@pytest.mark.benchmark(group=f"{POINTS}×{POINTS} points of a landscape")
@pytest.mark.parametrize(("name", "size"), MODELS)
@pytest.mark.parametrize("where", DEVICES, ids=lambda where: f"{where[0]}, {where[1]} at once")
def test_point(benchmark, name, size, where):
    device, at_once = where
    channels, images = 1 if size == 8 else 3, IMAGES[size]
    model = network(name, size, channels, device)
    inputs = torch.randn(images, channels, size, size, device=device).split(BATCH)
    targets = torch.randn(images, 10, device=device).softmax(-1).split(BATCH)
    batches = list(zip(inputs, targets, strict=True))
    plain = []

    @torch.no_grad()
    def forward():
        for batch in inputs:
            model(batch)
        if device == "cuda":
            torch.cuda.synchronize()

    def before():
        start = time.perf_counter()
        for _ in range(POINTS**2):
            forward()
        plain.append(time.perf_counter() - start)

    def work():
        return landscape(model, batches, points=POINTS, directions=1, at_once=at_once)

    forward()
    benchmark.pedantic(work, setup=before, rounds=3, warmup_rounds=1 if device == "cuda" else 0)
    if benchmark.stats:
        benchmark.extra_info["ratio"] = benchmark.stats.stats.median / statistics.median(plain)
        benchmark.extra_info["seconds_a_point"] = benchmark.stats.stats.median / POINTS**2


@pytest.mark.benchmark(group="21×21 points, 1000 augmented digits")
@pytest.mark.parametrize("name", ["resnet_micro", "vit_micro"])
def test_digits(benchmark, tmp_path, name):
    dataset = load_dataset("digits", Store(tmp_path))
    split = Resident(balanced_subset(dataset.train, 1000), dataset.info, torch.device("cpu"))
    recipe = Recipe(epochs=1, warmup_epochs=0, batch_size=96, learning_rate=1e-3, crop_padding=1)
    generator = torch.Generator().manual_seed(0)
    batches = list(training_batches(split, torch.arange(len(split)), 96, recipe, generator, seed=0))
    model = network(name, dataset.info.image_size, dataset.info.channels)
    benchmark.pedantic(landscape, (model, batches), {"directions": 1}, rounds=1)
    if benchmark.stats:
        benchmark.extra_info["images"] = len(split)
        benchmark.extra_info["seconds_a_point"] = benchmark.stats.stats.median / 441
