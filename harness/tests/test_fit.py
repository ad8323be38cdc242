"""The loss on augmented training images, and the batches outside of training that it is measured on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from harness.plan.recipe import Recipe
from harness.probes import fit
from harness.training.batch import drawn_batches
from harness.training.resident import Resident

CPU = torch.device("cpu")
STRONG = Recipe(batch_size=8)


@pytest.fixture
def split(digits):
    return Resident(digits.train, digits.info, CPU)


def draw(split, recipe=STRONG, *, images=48, batch_size=16, seed=0):
    return list(drawn_batches(split, recipe, images=images, batch_size=batch_size, seed=seed))


def test_the_same_seed_draws_the_same_and_another_does_not(split):
    one, again, other = draw(split), draw(split), draw(split, seed=1)
    assert all(
        torch.equal(a, b) for left, right in zip(one, again, strict=True) for a, b in zip(left, right, strict=True)
    )
    assert not torch.equal(one[0][0], other[0][0])


def test_one_pass_meets_every_image_once_and_several_begin_anew(split):
    bare = STRONG.without_augmentation

    def sums(**options):
        return sorted(torch.cat([inputs.sum((1, 2, 3)) for inputs, _ in draw(split, bare, **options)]).tolist())

    count = len(split)
    everything = sorted(split.standardise(split.images).sum((1, 2, 3)).tolist())
    np.testing.assert_allclose(sums(images=None, batch_size=count), everything, rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(sums(images=2 * count, batch_size=count), sorted(2 * everything), rtol=1e-5, atol=1e-3)
    assert [len(inputs) for inputs, _ in draw(split, images=50, batch_size=16)] == [16, 16, 16]
    assert [len(inputs) for inputs, _ in draw(split, images=5, batch_size=16)] == [5]


def test_without_augmentation_images_and_labels_are_as_they_are(split):
    (inputs, targets), *_ = draw(split, STRONG.without_augmentation)
    bare = split.standardise(split.images)
    places = [int((bare == image).flatten(1).all(1).nonzero()[0]) for image in inputs]
    assert torch.equal(targets, torch.eye(10)[split.labels[places]])
    assert not ((draw(split)[0][1] == 0) | (draw(split)[0][1] == 1)).any()  # mixed and smoothed


def test_fit_is_the_mean_cross_entropy_with_soft_targets(split):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.Dropout(0.5))
    batches = draw(split, batch_size=20, images=100)
    table = fit(model.train(), batches, groups=7)
    losses = []
    for inputs, targets in batches:
        for image, target in zip(inputs.double().numpy(), targets.double().numpy(), strict=True):
            weight, bias = (value.detach().double().numpy() for value in model[1].parameters())
            logits = weight @ image.ravel() + bias
            losses.append(np.log(np.exp(logits).sum()) - target @ logits)
    assert table.images.tolist() == [15, 15, 14, 14, 14, 14, 14]
    assert np.average(table.nll, weights=table.images) == pytest.approx(np.mean(losses), rel=1e-5)
    assert table.nll[3] == pytest.approx(np.mean(losses[3::7]), rel=1e-5)
    assert not model.training


def test_the_entropy_is_that_of_the_targets_and_of_bare_labels_none(split):
    """One class for sure, two alike, and ten alike: 0, log 2 and log 10."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    sure, two, ten = torch.eye(10)[3], torch.eye(10)[3:5].mean(0), torch.full((10,), 0.1)
    images = split.standardise(split.images[:3])
    table = fit(model, [(images, torch.stack([sure, two, ten]))], groups=3)
    assert table.entropy.tolist() == pytest.approx([0, np.log(2), np.log(10)], abs=1e-6)
    assert fit(model, [(images, torch.tensor([3, 4, 5]))], groups=3).entropy.tolist() == [0, 0, 0]
    for inputs, targets in draw(split, images=16):  # no network gets below
        assert (fit(model, [(inputs, targets)], groups=16).eval("nll - entropy") >= 0).all()


def test_fit_has_no_more_groups_than_images(split):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    assert fit(model, draw(split, images=5), groups=32).images.tolist() == [1] * 5
