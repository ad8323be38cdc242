"""BatchNorm with running statistics as the affine map that it is, in the weights of the convolution before it.

    γ (conv(x, k) + b - μ) / sqrt(σ² + ε) + β  =  conv(x, s k) + s (b - μ) + β,    s = γ / sqrt(σ² + ε)

is the same function of k, b, γ and β, so its derivatives are the same, but for rounding. The second ones of the left
side go over the activations some ten times more; those of s k only over weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import batch_norm
from torch.overrides import TorchFunctionMode

# What may be asked of a convolution's maps before they are normalised. Anything else may have changed them in place,
# which a version counter does not tell inside `torch.func.vmap`.
LOOKS = frozenset({Tensor.dim, Tensor.size, Tensor.ndim.__get__, Tensor.shape.__get__})  # type: ignore[attr-defined]  # of a property


class Folded(TorchFunctionMode):
    """Inside, networks compute BatchNorm so. What normalises with statistics of its batch does as ever."""

    def __init__(self) -> None:
        super().__init__()
        self.maps: Tensor | None = None  # of a convolution that nothing has come after
        self.convolve: Callable[..., Tensor] = torch.conv2d

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if function is batch_norm:
            return self.normalised(*args, **kwargs)
        result = function(*args, **kwargs)
        if function is torch.conv2d:
            self.maps, self.convolve = result, lambda scale, shift: folded(scale, shift, *args, **kwargs)
        elif function not in LOOKS:
            self.maps = None
        return result

    def normalised(
        self,
        x: Tensor,
        mean: Tensor | None,
        variance: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        """For the arguments of `torch.nn.functional.batch_norm`."""
        if training or mean is None or variance is None:
            return batch_norm(x, mean, variance, weight, bias, training, momentum, eps)
        scale = torch.rsqrt(variance + eps) if weight is None else weight * torch.rsqrt(variance + eps)
        shift = -mean * scale if bias is None else bias - mean * scale
        maps, self.maps = self.maps, None
        if x is maps:
            return self.convolve(scale, shift)
        over = (-1, *[1] * (x.ndim - 2))
        return torch.addcmul(shift.view(over), x, scale.view(over))


def folded(
    scale: Tensor, shift: Tensor, input: Tensor, weight: Tensor, bias: Tensor | None = None, *how: Any, **named: Any
) -> Tensor:
    """The convolution of these arguments, times `scale` plus `shift` [channel]."""
    return torch.conv2d(
        input, weight * scale.view(-1, 1, 1, 1), shift if bias is None else bias * scale + shift, *how, **named
    )
