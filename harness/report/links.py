"""Names of places in a page."""

from __future__ import annotations


def anchor(*parts: str) -> str:
    """A name that is safe as an id and in a link."""
    return "-".join("".join(sign if sign.isalnum() or sign in "-_." else "-" for sign in part) for part in parts)
