from __future__ import annotations

import resource

import pytest
import torch

from harness.training.memory import keep_freed_memory


def test_what_was_freed_is_used_again_without_asking_the_system():
    if not keep_freed_memory():
        pytest.skip("this system's allocator is not glibc's")

    def pages_asked_for():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        activations = [torch.ones(1 << 20) for _ in range(40)]
        del activations
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    for _ in range(3):  # until the pieces lie so that each finds its place
        pages_asked_for()
    bytes_used = 40 * 4 * (1 << 20)
    assert pages_asked_for() < 0.05 * bytes_used / resource.getpagesize()
