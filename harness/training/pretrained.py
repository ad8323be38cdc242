"""Weights from timm were trained on images standardised in a way of their own; other images give wrong results."""

from __future__ import annotations

from typing import Any

from torch import nn

from harness.data import DatasetInfo
from harness.errors import HarnessError


def check_standardisation(model: nn.Module, info: DatasetInfo) -> None:
    """Refuse pretrained weights that expect other inputs than this data set's.

    Raises:
        HarnessError: timm's description of the weights names another mean or standard deviation.
    """
    described: Any = getattr(model, "pretrained_cfg", None) or {}
    expected = described.get("mean", info.mean), described.get("std", info.std)
    if tuple(map(tuple, expected)) != (info.mean, info.std):
        raise HarnessError(
            f"timm's weights {described.get('architecture')}.{described.get('tag')} expect images standardised with "
            f"mean {expected[0]} and deviation {expected[1]}, {info.title} has {info.mean} and {info.std}; "
            "choose other weights of that network (timm.list_pretrained)"
        )
