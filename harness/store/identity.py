"""Identities: the same content always has the same name, whatever process or machine writes it."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical_json(value: Any) -> str:
    """The one JSON text of a value: keys sorted, no spaces, no NaN.

    Raises:
        ValueError: the value holds a number that is not finite.
        TypeError: the value holds something that JSON does not know.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def short_digest(value: Any) -> str:
    """The first 16 digits of `digest`, enough to name an artifact."""
    return digest(value)[:16]


def subseed(*parts: Any) -> int:
    """A 63-bit seed for one stream of random numbers, e.g. `subseed(run.seed, "order", epoch)`.

    Streams named differently are independent, so that adding one does not move the others.
    """
    return int(digest(list(parts))[:16], 16) >> 1
