"""CIFAR-C: 15 common corruptions of images and 4 more, in five severities, on whole batches (arXiv:1903.12261)."""

from __future__ import annotations

from harness.corruptions.constants import CORRUPTIONS, EXTRA, GROUPS, SEVERITIES
from harness.corruptions.corrupt import corrupt, source_of
from harness.corruptions.official import Official, open_official

__all__ = ["CORRUPTIONS", "EXTRA", "GROUPS", "SEVERITIES", "Official", "corrupt", "open_official", "source_of"]
