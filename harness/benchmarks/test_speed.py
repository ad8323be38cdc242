"""How fast probes and evaluation are on this machine. Nothing here is asserted; ratios belong into the docs."""

from __future__ import annotations

import pytest
import torch

from harness.data import dataset_info
from harness.probes import fourier, prediction
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


@pytest.mark.benchmark(group="probes, 250 images")
@pytest.mark.parametrize("probe", [prediction, fourier], ids=["prediction", "fourier"])
def test_probe(benchmark, device, model, probe):
    batch = pictures(250, device)
    rounds(benchmark, device, lambda: probe(model, [batch]), 250)
