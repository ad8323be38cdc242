"""Spectra and landscapes through BatchNorm against dense Hessians, and loops that do it by the book."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from harness.curvature.batchnorm import batch_statistics, estimated_statistics
from harness.errors import HarnessError
from harness.probes import hessian, landscape


def network(norm=nn.BatchNorm2d):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3), norm(3), nn.GELU(), nn.Dropout(0.5), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 4)
    ).double()
    model.train()
    with torch.no_grad():
        for _ in range(3):
            model(2 + 3 * torch.randn(16, 1, 6, 6).double())
    return model.eval()


def batches(count=2, size=8):
    generator = torch.Generator().manual_seed(1)
    for _ in range(count):
        images = torch.randn(size, 1, 6, 6, generator=generator).double()
        yield images, torch.rand(size, 4, generator=generator).double().softmax(1)


def buffers(model):
    return {name: buffer.clone() for name, buffer in model.named_buffers()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def dense(model, images, targets):
    """The Hessian of a network in training, but for its dropout, by torch's own double loop."""
    model = copy.deepcopy(model).train()
    for layer in model.modules():
        if isinstance(layer, nn.Dropout):
            layer.eval()
    names, leaves = zip(*model.named_parameters(), strict=True)
    sizes = [leaf.numel() for leaf in leaves]

    def loss(flat):
        parts = [part.view_as(leaf) for part, leaf in zip(flat.split(sizes), leaves, strict=True)]
        return cross_entropy(functional_call(model, dict(zip(names, parts, strict=True)), (images,)), targets)

    return torch.autograd.functional.hessian(loss, torch.cat([leaf.detach().flatten() for leaf in leaves]))


@pytest.mark.parametrize("at_once", [1, 2])
def test_the_spectrum_is_that_of_the_hessian_through_the_batchs_own_statistics(at_once):
    model = network()
    before = buffers(model)
    table = hessian(model, batches(), batchnorm="batch", weight_decay=0.0, tolerance=1e-7, at_once=at_once)
    for sample, (images, targets) in enumerate(batches()):
        values = torch.linalg.eigvalsh(dense(model, images, targets)).numpy()
        largest = values[np.argsort(-np.abs(values))][:5]
        assert table[table["sample"] == sample].eigenvalue.to_numpy() == pytest.approx(largest, rel=1e-5)
    assert same(buffers(model), before)
    assert not any(module.training for module in model.modules())


def test_statistics_make_a_difference_only_where_there_is_batchnorm():
    def spectrum(model, batchnorm):
        return hessian(model, batches(), batchnorm=batchnorm).eigenvalue.to_numpy()

    assert not np.allclose(spectrum(network(), "batch"), spectrum(network(), "running"), rtol=0.01)
    grouped = network(lambda channels: nn.GroupNorm(1, channels))
    assert (spectrum(grouped, "batch") == spectrum(grouped, "running")).all()


def test_the_statistics_come_back_also_through_an_exception():
    model = network()
    before = buffers(model)

    def fails_within_a_batch():
        with batch_statistics(model):
            assert model[1].running_mean is None
            raise ZeroDivisionError

    def fails_among_new_ones():
        with estimated_statistics(model) as estimate:
            estimate(images for images, _ in batches())
            assert not same(buffers(model), before)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails_within_a_batch()
    assert same(buffers(model), before)
    momentum = model[1].momentum
    with pytest.raises(ZeroDivisionError):
        fails_among_new_ones()
    assert same(buffers(model), before)
    assert model[1].momentum == momentum


def by_the_book(model, x, y, directions):
    """The loss with weights moved and statistics estimated anew, on a copy."""
    model = copy.deepcopy(model)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in directions:
                parameter += x * directions[name][0] + y * directions[name][1]
        norm = model[1]
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
        for images, _ in batches():
            model(images)
        norm.eval()
        losses = [cross_entropy(model(images), targets, reduction="sum") for images, targets in batches()]
    return sum(loss.item() for loss in losses) / 16


def test_a_landscape_with_fresh_statistics_is_that_of_a_loop_by_the_book():
    model = network()
    before = buffers(model) | {name: leaf.detach().clone() for name, leaf in model.named_parameters()}
    table = landscape(model, batches(), points=3, directions=1, batchnorm="fresh", at_once=4)
    assert same(buffers(model) | {name: leaf.detach() for name, leaf in model.named_parameters()}, before)

    # The directions are those of a probe with stale statistics: they follow from how a moved network differs.
    from harness.probes.common.directions import movable, random_direction
    from harness.store.identity import subseed

    moved = movable(model)
    generator = torch.Generator().manual_seed(subseed(0, "directions", 0))
    one, other = (random_direction([leaf.detach() for leaf in moved.values()], "filter", generator) for _ in "xy")
    directions = {name: (a, b) for name, a, b in zip(moved, one, other, strict=True)}
    for row in table.itertuples():
        assert row.nll == pytest.approx(by_the_book(model, row.x, row.y, directions), rel=1e-9)
    stale = landscape(model, batches(), points=3, directions=1)
    assert not np.allclose(stale.nll, table.nll, rtol=0.01)


@pytest.mark.parametrize(("probe", "known"), [(hessian, "running"), (landscape, "fresh")])
def test_unknown_statistics_are_one_line(probe, known):
    with pytest.raises(HarnessError, match=f"batchnorm='{known[:-1]}' is unknown; did you mean '{known}'"):
        probe(network(), batches(), batchnorm=known[:-1])
