"""mixup (Zhang et al. 2018) and CutMix (Yun et al. 2019), one of them for each batch, as timm's Mixup in batch mode."""

from __future__ import annotations

import torch
from torch import Tensor


def mix(
    images: Tensor,
    labels: Tensor,
    *,
    classes: int,
    mixup_alpha: float = 1.0,
    cutmix_alpha: float = 0.8,
    smoothing: float = 0.1,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Mix every image with its mirror image in the batch (the first with the last, and so on), and their labels alike.

    One draw decides for the whole batch: mixup or CutMix, each with probability 1/2, and how much.

    Args:
        images: floating point [batch, channel, height, width], standardised; not changed.
        labels: int64 [batch].
        mixup_alpha, cutmix_alpha: the share of the image itself is Beta(alpha, alpha) distributed; both above 0.
        smoothing: share of a label that goes to all classes equally.
        generator: on the images' device. What is drawn stays there, and both kinds of mixing are the same weighted
            mean, so that the host need not know what was drawn: it never waits, and one state holds all randomness.

    Returns:
        Images like the given ones, and soft targets [batch, classes], float32, which sum to 1.
    """
    height, width = images.shape[2:]
    share, weight = draw_weight(height, width, mixup_alpha, cutmix_alpha, generator)
    mixed = torch.lerp(images.flip(0), images, weight.to(images.dtype))
    return mixed, soft_targets(labels, share, classes=classes, smoothing=smoothing)


def draw_weight(
    height: int, width: int, mixup_alpha: float, cutmix_alpha: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The share of the image itself, float64 [], and its weight at every pixel, float64 [height, width]."""
    device = generator.device
    draw = torch.rand(3, dtype=torch.float64, device=device, generator=generator)
    switch, place = draw[0] < 0.5, draw[1:]
    share, cut_share = (_draw_beta(alpha, device, generator) for alpha in (mixup_alpha, cutmix_alpha))
    outside = box_weight(cut_share, place, height, width)
    share = torch.where(switch, outside.mean(), share)
    return share, torch.where(switch, outside, share)


def box_weight(share: Tensor, place: Tensor, height: int, width: int) -> Tensor:
    """CutMix's weight of the image itself: 0 in a box of about 1 - share of its area, 1 elsewhere.

    The box's centre is on any pixel, and what sticks out is cut off; the share of the image is therefore the mean of
    what this returns, not the share that was drawn.

    Args:
        share: float64 [].
        place: float64 [2], the centre's row and column in shares of the image, 0 to below 1.

    Returns:
        float64 [height, width].
    """
    side = (1 - share).sqrt()

    def within(centre: Tensor, size: int) -> Tensor:
        cut, centre = (side * size).floor(), (centre * size).floor()
        pixel = torch.arange(size, device=place.device)
        return (pixel >= centre - (cut / 2).floor()) & (pixel < centre + (cut / 2).ceil())

    inside = within(place[0], height)[:, None] & within(place[1], width)
    return 1 - inside.double()


def soft_targets(labels: Tensor, share: Tensor, *, classes: int, smoothing: float) -> Tensor:
    """Smoothed labels, `share` of each and the rest of its partner's, float32 [batch, classes]."""
    smooth = torch.full((len(labels), classes), smoothing / classes, device=labels.device)
    smooth.scatter_(1, labels[:, None], 1 - smoothing + smoothing / classes)
    return torch.lerp(smooth.flip(0), smooth, share.to(smooth.dtype))


def _draw_beta(alpha: float, device: torch.device, generator: torch.Generator) -> Tensor:
    """Beta(alpha, alpha) as a share of two gamma variates, float64 []; torch.distributions takes no generator."""
    gamma = torch._standard_gamma(torch.full((2,), alpha, dtype=torch.float64, device=device), generator=generator)
    return gamma[0] / gamma.sum()
