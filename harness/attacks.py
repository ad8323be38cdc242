"""Adversarial images within an eps-ball of pixels: FGSM (Goodfellow et al. 2015) and PGD (Madry et al. 2018).

Images and `eps` are what the network takes and what a person means: standardised images come with their `mean` and
`std`, one number a channel, and `eps` is a step of pixels from 0 to 1, whatever they are. What is returned is
standardised again, and every pixel of it lies within 0 and 1. (The authors' code, `ops/adversarial.py`, takes steps of
standardised values, and clamps those, at the random start only.)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from harness.errors import HarnessError


def fgsm(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    eps: float = 8 / 255,
    mean: Sequence[float] = (0.0,),
    std: Sequence[float] = (1.0,),
) -> Tensor:
    """One step of eps up the loss in every pixel: x + eps sign(dNLL/dx).

    Args:
        model: takes images, gives logits [image, class]; it is put in evaluation mode.
        images: [image, channel, height, width], standardised, on the model's device; so are the labels.
        labels: classes [image].
        eps: the largest change of a pixel, 0 to 1.
        mean: of each channel, or one for all; so is `std`. None is taken off by default: images are pixels.

    Returns:
        Standardised images of the same shape.

    Raises:
        HarnessError: eps is negative, or there are means for another number of channels.
    """
    return pgd(model, images, labels, eps=eps, step=eps, steps=1, seed=None, mean=mean, std=std)


def pgd(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    eps: float = 8 / 255,
    step: float = 2 / 255,
    steps: int = 10,
    seed: int | None = 0,
    mean: Sequence[float] = (0.0,),
    std: Sequence[float] = (1.0,),
) -> Tensor:
    """Steps up the loss in every pixel, each projected onto the eps-ball and the pixels from 0 to 1.

    Args:
        model: as in `fgsm`; so are images, labels, mean and std.
        eps: the largest change of a pixel, 0 to 1.
        step: of a pixel, each time.
        steps: how many.
        seed: of the random start in the eps-ball, which is drawn on the CPU and so the same on every device; None
            starts at the images.

    Returns:
        Standardised images of the same shape.

    Raises:
        HarnessError: eps or step is negative, or there are means for another number of channels.
    """
    if eps < 0 or step < 0:
        raise HarnessError(f"eps={eps}, step={step}: expected changes of pixels, which are not negative")
    centre, scale = per_channel(mean, images), per_channel(std, images)
    model.eval()
    pixels = images.detach() * scale + centre
    low, high = (pixels - eps).clamp(0, 1), (pixels + eps).clamp(0, 1)
    found = pixels if seed is None else (pixels + noise_like(pixels, eps, seed)).clamp(low, high)
    for _ in range(steps):
        slope = gradient(model, (found - centre) / scale, labels)
        found = (found + step * slope.sign()).clamp(low, high)
    return (found - centre) / scale


def gradient(model: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    """Of the summed NLL: the slope of an image does not depend on how many others there are, nor do signs vanish."""
    with torch.enable_grad():
        inputs = inputs.detach().requires_grad_()
        (slope,) = torch.autograd.grad(cross_entropy(model(inputs), labels, reduction="sum"), inputs)
    return slope


def noise_like(pixels: Tensor, eps: float, seed: int) -> Tensor:
    """Uniform from -eps to eps."""
    generator = torch.Generator().manual_seed(seed)
    return (eps * (2 * torch.rand(pixels.shape, generator=generator) - 1)).to(pixels)


def per_channel(values: Sequence[float], images: Tensor) -> Tensor:
    """One number a channel, or one for all, as [1, channel, 1, 1]."""
    if images.ndim != 4 or len(values) not in (1, images.shape[1]):
        raise HarnessError(
            f"a mean and a deviation for each channel of images [image, channel, height, width]; found {len(values)} "
            f"for {list(images.shape)}"
        )
    return torch.tensor(values).to(images).view(1, -1, 1, 1)
