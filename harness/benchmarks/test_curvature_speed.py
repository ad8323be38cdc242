"""Converged Hessian eigenvalues beside power iteration as published: seconds and products. Nothing here is asserted.

"official" is the algorithm as it is in PyHessian: power iteration with deflation, double backward, one mini-batch after
another. Both get the same network and the same mini-batches. `negative` is the share of negative eigenvalues, which the
paper counts. `folding_gains` is what a product costs with BatchNorm as PyTorch differentiates it, over what it costs
with BatchNorm folded into convolutions, in CPU time, in turn.
"""

from __future__ import annotations

import time
from contextlib import nullcontext

import pytest
import torch

from harness.curvature.hvp import hessian_products
from harness.probes import hessian
from harness.readings import nep
from models import create_model

CLASSES, IMAGES = 10, 16
CUDA = pytest.param("cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")])
MODELS = {
    "resnet_mini": {},
    "vit_mini": {},
    "resnet18": {},
    "vit_tiny": {"patch_size": 4},
}
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("resnet18", "vit_tiny")]


def network(name, device):
    torch.manual_seed(0)
    return create_model(name, num_classes=CLASSES, image_size=32, **MODELS[name]).to(device).eval()


def mini_batches(count, device):
    """Noise with soft targets."""
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(count, IMAGES, 3, 32, 32, generator=generator)
    targets = (2 * torch.randn(count, IMAGES, CLASSES, generator=generator)).softmax(-1)
    return list(zip(inputs.to(device), targets.to(device), strict=True))


@pytest.fixture(params=["cpu", CUDA])
def device(request):
    return request.param


@pytest.mark.benchmark(group="top-5 eigenvalues, mini-batches of 16")
@pytest.mark.parametrize("name", ["resnet_mini", "vit_mini", *SLOW])
@pytest.mark.parametrize("convention", ["lanczos", "official"])
def test_hessian(benchmark, device, name, convention):
    # Power iteration takes from 70 to 290 products for the same network at random weights: one mini-batch says little.
    model, data = network(name, device), mini_batches(64 if device == "cuda" else 3, device)
    # What is imported and set up on first use is nobody's cost.
    hessian(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2)), [(torch.ones(2, 1, 2, 2), torch.eye(2))])

    def once():  # of the NLL alone: with l2 besides, Lanczos gives both spectra, and the official iteration one
        return hessian(model, data, convention=convention, weight_decay=0)

    table = benchmark.pedantic(once, rounds=1)  # its table has been on the CPU: nothing is left to wait for
    benchmark.extra_info["products"] = float(table.groupby("sample").products.first().mean())
    benchmark.extra_info["residual"] = float(table.residual.max())
    benchmark.extra_info["negative"] = nep(table, l2=False)


@pytest.mark.benchmark(group="one Hessian-vector product of a mini-batch of 16")
@pytest.mark.parametrize("name", ["resnet_mini", "vit_mini", *SLOW])
@pytest.mark.parametrize("at_once", [1, 4])
def test_product(benchmark, device, name, at_once, monkeypatch):
    model = network(name, device)
    inputs, targets = map(torch.stack, zip(*mini_batches(at_once, device), strict=True))
    folded, gradients = hessian_products(model, inputs, targets)
    monkeypatch.setattr("harness.curvature.hvp.Folded", nullcontext)
    plain, _ = hessian_products(model, inputs, targets)
    seconds = {folded: [], plain: []}

    def once(product=folded):
        start = time.process_time()
        product(gradients)
        if device == "cuda":
            torch.cuda.synchronize()
        seconds[product].append(time.process_time() - start)

    benchmark.pedantic(once, setup=lambda: once(plain), rounds=5, warmup_rounds=1)
    if benchmark.stats:
        benchmark.extra_info["folding_gains"] = min(seconds[plain]) / min(seconds[folded])
        benchmark.extra_info["seconds_a_mini_batch"] = benchmark.stats.stats.min / at_once
