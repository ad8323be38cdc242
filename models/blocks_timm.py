"""Rules for timm's blocks."""

from __future__ import annotations

from torch import nn

from models._timm import timm
from models.blocks import Part, register


def residual_conv(*branch_ends: str):
    """A convolution block whose residual branch ends in the first of `branch_ends` that the block has."""

    def rule(block: nn.Module) -> list[Part]:
        end = next(name for name in branch_ends if getattr(block, name, None) is not None)
        return [Part("", "conv", branch=end)]

    return rule


# norm2 receives the sum of skip and attention, the block returns the sum of that and the MLP.
PRE_NORM = [Part("attn", "msa", read=("norm2", "input"), branch="attn"), Part("mlp", "mlp", branch="mlp")]

register(timm.models.resnet.BasicBlock, residual_conv("se", "bn2"))
register(timm.models.resnet.Bottleneck, residual_conv("se", "bn3"))
register(timm.models.vision_transformer.Block, PRE_NORM)
