"""How a network and its maps lie in memory: with channels last, in which convolutions are faster on CPU and GPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.units.survey import undisturbed


def channels_last(model: nn.Module) -> nn.Module:
    """The network, with its convolutions so; they then give maps that are so as well."""
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stubs


def channels_last_if_it_can(model: nn.Module, shape: tuple[int, int, int]) -> nn.Module:
    """The same of a network that others wrote.

    Whoever flattens maps by `view` needs them as they were: such a network stays as it is, and gets its images so, too.

    Args:
        shape: channels, height and width of its images.
    """
    try:
        with torch.no_grad(), undisturbed(channels_last(model)):
            model(torch.zeros(2, *shape))
    except RuntimeError:
        model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # missing in torch's stubs
        model.register_forward_pre_hook(_as_ever)
    return model


def _as_ever(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    # Not contiguous(): images of one channel are so already, whatever their strides tell a convolution.
    return tuple(images.clone(memory_format=torch.contiguous_format) for images in inputs)
