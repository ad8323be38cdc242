"""Random directions around trained weights, as long as the weights filter by filter (Figs 1a, C.4a, C.7 of the paper).

A direction d is Gaussian noise of the shape of the weights w, rescaled so that networks whose weights differ in scale
can be compared (Li et al., Visualizing the Loss Landscape of Neural Nets, NeurIPS 2018):

    "filter"    d_i <- d_i / ||d_i|| · ||w_i||       for every output i, norms over all other dimensions
    "official"  d_.j <- d_.j / ||d_.j|| · ||w_.j||   for every position j in the other dimensions, norms over outputs

The second is what the authors' code does, under the name of the first.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

NORMALISATIONS = ("filter", "official")
POSITIONS = ("pos_embed", "relative_position")


def movable(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that a landscape moves, by name.

    All of two dimensions and more, class tokens too; neither biases nor the scales and shifts of norms, which have one,
    nor embeddings of positions. Buffers, like running statistics, are no parameters.
    """
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if parameter.ndim >= 2 and not any(word in name for word in POSITIONS)
    }


def random_direction(weights: list[Tensor], normalisation: str, generator: torch.Generator) -> list[Tensor]:
    """A random direction, a tensor for each of `weights`.

    Args:
        normalisation: "filter" or "official".
        generator: on the CPU, so that every device gets the same directions.
    """
    return [
        rescaled(torch.randn(weight.shape, generator=generator, dtype=weight.dtype).to(weight), weight, normalisation)
        for weight in weights
    ]


def rescaled(noise: Tensor, weight: Tensor, normalisation: str) -> Tensor:
    """`noise` [output, ...], made as long as `weight` [output, ...]; zero where the weight is."""
    over = tuple(range(1, weight.ndim)) if normalisation == "filter" else (0,)
    long, short = (torch.linalg.vector_norm(tensor, dim=over, keepdim=True) for tensor in (weight, noise))
    return noise * (long / short.clamp_min(torch.finfo(noise.dtype).tiny))
