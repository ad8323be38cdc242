"""Memory that a step frees is kept for the next one.

A step allocates its activations and frees them again. glibc may give much of that back to the system, which hands it
out anew, page by page and filled with zeros, in the next step: 16,000 page faults and an eighth of the CPU time of a
step of resnet_mini in batches of 96. At 32 it depends on what the process had allocated before, and a training on
CIFAR-10 is spared. What is computed stays the same, bit for bit.
"""

from __future__ import annotations

import ctypes
from functools import cache

# mallopt(3): the names of its parameters are macros of <malloc.h>.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT = 1 << 30  # bytes that may lie free before the rest goes back
LARGEST_KEPT = 32 << 20  # bytes; glibc takes no more, and maps what is larger anew each time


@cache
def keep_freed_memory() -> bool:
    """Tell the allocator of this process, once and for good; False where it is not glibc's, and nothing changes."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    # Setting the one switches off glibc's own adjustment of both, so that neither goes without the other.
    return bool(mallopt and mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT) and mallopt(M_TRIM_THRESHOLD, KEPT))
