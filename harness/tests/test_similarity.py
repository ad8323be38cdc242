from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from harness.errors import HarnessError
from harness.probes import similarity
from harness.probes._similarity import centred_gram
from harness.probes.common.images import in_batches_of
from harness.readings import cka
from models import anatomy, create_model

IMAGES = torch.randn(70, 1, 8, 8, generator=torch.Generator().manual_seed(0))
SEEDS = st.integers(0, 2**31)


def network(name):
    torch.manual_seed(0)
    return create_model(name, num_classes=10, image_size=8, in_chans=1).eval()


def naive_hsic(one, other):
    """Song et al.'s unbiased estimator in float64, entry by entry: K and L without their diagonals."""
    n = len(one)
    k, m = ([[float(a @ b) for b in rows] for a in rows] for rows in (one, other))
    for matrix in (k, m):
        for i in range(n):
            matrix[i][i] = 0.0
    trace = sum(k[i][j] * m[j][i] for i in range(n) for j in range(n))
    sums = sum(map(sum, k)) * sum(map(sum, m)) / ((n - 1) * (n - 2))
    product = sum(k[i][j] * m[j][h] for i in range(n) for j in range(n) for h in range(n))
    return (trace + sums - 2 / (n - 2) * product) / (n * (n - 3))


def features(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def alignment(one, other):
    """CKA of one mini-batch."""
    one, other = centred_gram(one), centred_gram(other)
    return ((one * other).sum() / (one.norm() * other.norm())).item()


@settings(max_examples=20, deadline=None)
@given(st.integers(4, 9), SEEDS)
def test_the_inner_product_of_centred_grams_is_the_unbiased_hsic(n, seed):
    one, other = features(n, 3, 2, 2, seed=seed), features(n, 5, 1, 1, seed=seed + 1) + 4
    other[:, 0] += one[:, 0, 0, 0, None, None]
    found = ((centred_gram(one) * centred_gram(other)).sum() / (n * (n - 3))).item()
    rows = [maps.flatten(1).double().numpy() for maps in (one, other)]
    scale = np.sqrt(abs(naive_hsic(rows[0], rows[0]) * naive_hsic(rows[1], rows[1])))
    assert found == pytest.approx(naive_hsic(*rows), abs=1e-5 * max(scale, 1))


@pytest.mark.parametrize("name", ["vit_micro", "resnet_micro", "swin_micro"])
def test_cka_of_a_network_is_the_naive_computation(name):
    model, images = network(name), IMAGES[:34]
    mini_batches = [images[:12], images[12:24], images[24:34]]
    kept = {}
    for batch in mini_batches:
        with (
            torch.no_grad(),
            anatomy(model).reading(
                lambda unit, maps: kept.setdefault(unit.index, []).append(maps.flatten(1).double().numpy())
            ),
        ):
            model(batch)
    units = sorted(kept)
    found = cka(similarity(model, images, minibatch=12))
    assert list(found.index) == list(found.columns) == units

    def mean(a, b):
        return sum(len(x) * naive_hsic(x, y) for x, y in zip(kept[a], kept[b], strict=True)) / len(images)

    own = {a: mean(a, a) for a in units}
    for a in units[::3]:
        for b in units:
            assert found.loc[a, b] == pytest.approx(mean(a, b) / np.sqrt(own[a] * own[b]), abs=1e-5)


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.integers(4, 30), st.floats(1e-3, 1e3), st.floats(-5, 5))
def test_cka_knows_neither_rotation_nor_scale_nor_shift(seed, n, scale, shift):
    one, other = features(n, 6, 1, 1, seed=seed), features(n, 4, 2, 1, seed=seed + 1)
    other[:, 0, 0, 0] += one[:, 0, 0, 0]
    rotation = torch.linalg.qr(features(6, 6, seed=seed + 2)).Q
    moved = scale * torch.einsum("nchw,cd->ndhw", one, rotation) + scale * shift
    assert alignment(moved, other) == pytest.approx(alignment(one, other), abs=1e-4)
    assert alignment(one, other) == pytest.approx(alignment(other, one), abs=1e-12)
    assert alignment(one, moved) == pytest.approx(1, abs=1e-4)


def test_cka_is_symmetric_one_on_itself_and_never_beyond():
    matrix = cka(similarity(network("pit_micro"), IMAGES, minibatch=16)).to_numpy()
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)
    np.testing.assert_allclose(np.diag(matrix), 1)
    assert (np.abs(matrix) <= 1 + 1e-12).all()


def test_hsic_is_unbiased_on_small_batches():
    """The mean over 2000 batches of 5 is that of all images; the usual, biased estimator is far from it."""
    one, other = features(10_000, 3, 1, 1), features(10_000, 8, 1, 1, seed=1)
    other[:, 0] += 0.3 * one[:, 0]
    whole = (one.flatten(1).T @ (other - other.mean(0)).flatten(1) / 10_000).square().sum().item()
    unbiased, biased = [], []
    for x, y in zip(one.split(5), other.split(5), strict=True):
        unbiased.append((centred_gram(x) * centred_gram(y)).sum().item() / (5 * 2))
        x, y = ((maps - maps.mean(0)).flatten(1) for maps in (x, y))
        biased.append(((x @ x.T) * (y @ y.T)).sum().item() / 4**2)
    error = np.std(unbiased) / np.sqrt(len(unbiased))
    assert abs(np.mean(unbiased) - whole) < 4 * error
    assert abs(np.mean(biased) - whole) > 20 * error


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=5))
def test_similarity_does_not_depend_on_how_the_images_come(sizes):
    model, count = network("resnet_micro"), sum(sizes)
    images = IMAGES.repeat(3, 1, 1, 1)[:count]
    if count < 4:
        with pytest.raises(HarnessError, match="4 images"):
            similarity(model, images.split(sizes), minibatch=9)
        return
    whole, parts = (similarity(model, each, minibatch=9, groups=3) for each in (images, images.split(sizes)))
    assert whole.equals(parts)
    left_out = count % 9 if count % 9 < 4 and count > 9 else 0
    assert whole[(whole.unit == 0) & (whole.other == 0)].images.sum() == count - left_out
    assert whole["sample"].nunique() == min(3, -(-(count - left_out) // 9))


def test_constant_features_have_similarity_0_and_a_warning():
    model = network("resnet_micro")
    stem = model.get_submodule(anatomy(model).units[0].name)
    convolution = next(module for module in stem.modules() if isinstance(module, nn.Conv2d))
    nn.init.zeros_(convolution.weight)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    nn.init.constant_(norms[0].bias, 0.3)
    with pytest.warns(UserWarning, match="same features for every image"):
        matrix = cka(similarity(model, IMAGES)).to_numpy()
    assert (matrix[0] == 0).all()
    assert np.isfinite(matrix).all()


def test_features_that_hardly_differ_are_told_from_constant_ones():
    base = features(1, 4, 3, 3) + 1
    assert centred_gram(base.repeat(20, 1, 1, 1) / 3).eq(0).all()
    small = features(20, 4, 3, 3, seed=1)
    assert alignment(base + 1e-4 * small, small) == pytest.approx(1, abs=1e-3)


def test_features_that_are_not_finite_are_refused():
    model = network("resnet_micro")
    nn.init.constant_(next(model.parameters()), float("nan"))
    with pytest.raises(HarnessError, match="not finite"):
        similarity(model, IMAGES)


@given(st.integers(1, 40), st.integers(1, 12), st.data())
def test_batches_cut_anew_hold_the_same_rows_in_order(count, size, data):
    column = torch.arange(count)
    parts = list(column.split(data.draw(st.integers(1, 40))))
    cut = list(in_batches_of(size, [(part, 2 * part) for part in parts]))
    assert torch.cat([first for first, _ in cut]).equal(column)
    assert torch.cat([second for _, second in cut]).equal(2 * column)
    assert all(len(first) == size for first, _ in cut[:-1])
    assert 0 < len(cut[-1][0]) <= size
