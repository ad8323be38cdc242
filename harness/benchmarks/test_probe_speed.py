"""What measuring all units of a network costs beside its bare forward pass; CKA beside the usual way to compute it.

Nothing here is asserted. Set OMP_NUM_THREADS for the number of cores.
"""

from __future__ import annotations

import math

import pytest
import torch

from harness.probes import fourier, similarity, variance
from models import anatomy, create_model

IMAGES = 1000
BATCH = 250


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return create_model("vit_tiny", num_classes=100, image_size=32).eval()


@pytest.fixture(scope="module")
def images():
    return torch.randn(IMAGES, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def forward(model, images):
    with torch.no_grad():
        for batch in images.split(BATCH):
            model(batch)


@pytest.mark.benchmark(group="all units of ViT-Ti, 1000 images")
@pytest.mark.parametrize("probe", [forward, fourier, variance, similarity], ids=lambda probe: probe.__name__)
def test_all_units(benchmark, model, images, probe):
    benchmark.pedantic(probe, (model, images), rounds=1, warmup_rounds=0)


def hsic(one, other):
    """Unbiased HSIC of two Gram matrices without diagonals, as it is usually written down."""
    n = len(one)
    ones = torch.ones(n, 1)
    product = one @ other
    sums = (ones.T @ one @ ones @ ones.T @ other @ ones / ((n - 1) * (n - 2))).item()
    return (product.trace().item() + sums - 2 / (n - 2) * (ones.T @ product @ ones).item()) / (n * (n - 3))


def cka(one, other):
    """Of two units' features [image, feature]: the function that everybody writes."""
    k, m = (features @ features.T for features in (one, other))
    k.fill_diagonal_(0)
    m.fill_diagonal_(0)
    return hsic(k, m) / math.sqrt(hsic(k, k) * hsic(m, m))


@torch.no_grad()
def features_of(model, images, wanted=None):
    kept = {}

    def keep(unit, maps):
        if wanted is None or unit in wanted:
            kept[unit] = maps.flatten(1).clone()

    with anatomy(model).reading(keep):
        model(images)
    return list(kept.values())


def pairwise(model, images):
    """One forward pass that keeps all features, then pair by pair."""
    features = features_of(model, images)
    return [cka(one, other) for one in features for other in features]


def hook_by_hook(model, images):
    """A forward pass for every pair, with hooks on its two units."""
    units = anatomy(model).units[:-1]
    found = []
    for one in units:
        for other in units:
            features = features_of(model, images, (one, other))
            found.append(cka(features[0], features[-1]))
    return found


def probe(model, images):
    return similarity(model, images, minibatch=len(images))


@pytest.mark.benchmark(group="CKA of all pairs of units of ViT-Ti, one batch of 250")
@pytest.mark.parametrize("way", [forward, probe, pairwise], ids=lambda way: way.__name__)
def test_cka(benchmark, model, images, way):
    benchmark.pedantic(way, (model, images[:BATCH]), rounds=1)


@pytest.mark.benchmark(group="CKA of all pairs of units of a small ViT, one batch of 250")
@pytest.mark.parametrize("way", [forward, probe, pairwise, hook_by_hook], ids=lambda way: way.__name__)
def test_cka_of_a_small_network(benchmark, images, way):
    torch.manual_seed(0)
    small = create_model("vit_mini", num_classes=10, image_size=32).eval()
    benchmark.pedantic(way, (small, images[:BATCH]), rounds=1)
