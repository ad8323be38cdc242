"""How fast the parts are on this machine: `make bench`. Nothing here is asserted; ratios belong into the docs."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy

from harness.data import dataset_info
from harness.probes import fourier, prediction
from harness.training.augment import crop_and_flip
from models import create_model

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")]),
]
MODELS = ["resnet_mini", "preact_resnet_mini", "alter_resnet_mini", "vit_mini"]


def rounds(benchmark, device, work, images):
    """Time `work`, waiting for the device, and note images per second."""

    def once():
        work()
        if device == "cuda":
            torch.cuda.synchronize()

    once()
    benchmark.pedantic(once, rounds=8, warmup_rounds=1)
    if benchmark.stats:
        benchmark.extra_info["images_per_second"] = images / benchmark.stats.stats.median


@pytest.fixture(params=DEVICES)
def device(request):
    return request.param


@pytest.fixture(params=MODELS)
def model(request, device):
    torch.manual_seed(0)
    network = create_model(request.param, num_classes=10, image_size=32)
    return network.to(device).to(memory_format=torch.channels_last)


def pictures(count, device):
    info = dataset_info("cifar10")
    images = torch.randn(count, info.channels, info.image_size, info.image_size, device=device)
    return images.to(memory_format=torch.channels_last), torch.arange(count, device=device) % info.classes


@pytest.mark.benchmark(group="augmentation")
def test_crop_and_flip(benchmark, device):
    images = torch.randint(256, (512, 3, 32, 32), dtype=torch.uint8, device=device)
    generator = torch.Generator(device).manual_seed(0)
    rounds(benchmark, device, lambda: crop_and_flip(images, padding=4, flip=True, generator=generator), 512)


@pytest.mark.benchmark(group="training step, batch 96")
def test_training_step(benchmark, device, model):
    images, labels = pictures(96, device)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)

    def step():
        optimizer.zero_grad(set_to_none=True)
        cross_entropy(model.train()(images), labels).backward()
        optimizer.step()

    rounds(benchmark, device, step, 96)


@pytest.mark.benchmark(group="probes, 250 images")
@pytest.mark.parametrize("probe", [prediction, fourier], ids=["prediction", "fourier"])
def test_probe(benchmark, device, model, probe):
    batch = pictures(250, device)
    rounds(benchmark, device, lambda: probe(model, [batch]), 250)
