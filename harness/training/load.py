"""Which loader suits a split."""

from __future__ import annotations

import numpy as np
import torch

from harness.data import DatasetInfo, Split
from harness.training.group import ALONE, Group
from harness.training.loader import Loader
from harness.training.resident import Resident


def load(split: Split, info: DatasetInfo, device: torch.device, group: Group = ALONE) -> Loader:
    """The loader that suits the split: resident where its images are decoded, else streamed."""
    if isinstance(split.images, np.ndarray):
        return Resident(split, info, device)
    from harness.training.streamed import Streamed  # with timm's transforms, which nobody else needs

    return Streamed(split, info, device, group)
