"""FGSM and PGD against closed forms of a linear model, and the ball and the pixels that they stay in."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy

from harness.attacks import fgsm, pgd
from harness.errors import HarnessError
from models import create_model

MEAN, STD = (0.5, 0.3), (0.2, 0.25)
SEEDS = st.integers(0, 2**31)
EPS = st.sampled_from([0.0, 1 / 255, 8 / 255, 0.3])


def linear(seed, classes=2):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(2 * 3 * 3, classes))


def photographs(seed, n=6, classes=2):
    """Pixels, some of them black or white, and the same standardised."""
    generator = torch.Generator().manual_seed(seed)
    pixels = (1.4 * torch.rand(n, 2, 3, 3, generator=generator) - 0.2).clamp(0, 1)
    centre, scale = (torch.tensor(values).view(1, 2, 1, 1) for values in (MEAN, STD))
    return pixels, (pixels - centre) / scale, torch.randint(classes, (n,), generator=generator)


def as_pixels(images):
    centre, scale = (torch.tensor(values).view(1, 2, 1, 1) for values in (MEAN, STD))
    return images * scale + centre


def losses(model, images, labels):
    with torch.no_grad():
        return cross_entropy(model(images).double(), labels, reduction="none")


@settings(max_examples=15, deadline=None)
@given(SEEDS, EPS)
def test_fgsm_of_a_linear_model_is_its_closed_form(seed, eps):
    """Of two classes the slope of the loss of one is a positive multiple of the other's weights less its own."""
    model, (pixels, images, labels) = linear(seed), photographs(seed)
    weights = model[1].weight.detach()
    directions = torch.sign(weights[1 - labels] - weights[labels]).view(-1, 2, 3, 3)
    expected = (pixels + eps * directions).clamp(0, 1)
    found = as_pixels(fgsm(model, images, labels, eps=eps, mean=MEAN, std=STD))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(SEEDS, EPS)
def test_pgd_of_a_linear_model_ends_where_fgsm_does(seed, eps):
    """Its slope has the same signs everywhere: steps that reach across the ball end in its corner."""
    model, (_, images, labels) = linear(seed), photographs(seed)
    about = {"eps": eps, "mean": MEAN, "std": STD}
    far = pgd(model, images, labels, step=eps / 2, steps=5, seed=seed, **about)
    np.testing.assert_allclose(far, fgsm(model, images, labels, **about), atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(SEEDS, EPS, st.integers(2, 5))
def test_the_loss_of_a_linear_model_never_falls(seed, eps, classes):
    model, (_, images, labels) = linear(seed, classes), photographs(seed, classes=classes)
    attacked = fgsm(model, images, labels, eps=eps, mean=MEAN, std=STD)
    assert (losses(model, attacked, labels) >= losses(model, images, labels) - 1e-6).all()


@settings(max_examples=15, deadline=None)
@given(SEEDS, EPS, st.integers(0, 3), st.one_of(st.none(), SEEDS))
def test_pixels_stay_in_the_ball_and_between_black_and_white(seed, eps, steps, start):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(36, 3))
    pixels, images, labels = photographs(seed, classes=3)
    found = as_pixels(pgd(model, images, labels, eps=eps, step=0.1, steps=steps, seed=start, mean=MEAN, std=STD))
    assert (found - pixels).abs().max() <= eps + 1e-6
    assert found.min() >= -1e-6
    assert found.max() <= 1 + 1e-6


def test_the_start_hangs_on_its_seed_and_is_spread_over_the_ball():
    model, (pixels, images, labels) = linear(0), photographs(0, n=200)
    about = {"eps": 0.1, "steps": 0, "mean": MEAN, "std": STD}
    one, same, other = (pgd(model, images, labels, seed=seed, **about) for seed in (3, 3, 4))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    moved = (as_pixels(one) - pixels)[(pixels > 0.1) & (pixels < 0.9)]
    assert moved.std() == pytest.approx(0.2 / 12**0.5, rel=0.05)
    assert torch.allclose(pgd(model, images, labels, seed=None, **about), images, atol=1e-6)


def test_a_network_is_measured_in_evaluation_mode_and_left_without_gradients():
    torch.manual_seed(0)
    model = create_model("resnet_micro", num_classes=5, image_size=8, in_chans=1).train()
    images, labels = torch.rand(8, 1, 8, 8), torch.randint(5, (8,))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():  # as a probe measures
        attacked = pgd(model, images, labels, eps=0.1, step=0.05, steps=4)
    assert not model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert not attacked.requires_grad
    assert losses(model, attacked, labels).mean() > losses(model, images, labels).mean()
    alone = torch.cat([fgsm(model, *pair) for pair in zip(images.split(3), labels.split(3), strict=True)])
    assert torch.allclose(alone, fgsm(model, images, labels), atol=1e-6)


def test_what_makes_no_sense_is_refused_in_a_line():
    model, (_, images, labels) = linear(0), photographs(0)
    with pytest.raises(HarnessError, match="eps=-0.1"):
        fgsm(model, images, labels, eps=-0.1)
    with pytest.raises(HarnessError, match=r"found 3 for \[6, 2, 3, 3\]"):
        fgsm(model, images, labels, mean=(0.1, 0.2, 0.3))
