"""Numbers as people read them: as many digits as the interval supports, and a true minus sign."""

from __future__ import annotations

import math
import re

from harness.judging.evidence import Control, Effect, shown_bounds

MINUS = "\N{MINUS SIGN}"
NOTHING = "\N{EN DASH}"


def decimals(effect: Effect | Control) -> int:
    """Decimals that show two digits of half the interval, or three of the value where there is no interval."""
    bounds = [bound for bound in shown_bounds(effect) if bound is not None and math.isfinite(bound)]
    width = max(bounds) - min(bounds) if bounds else 0.0
    if width > 0:
        return min(max(1 - math.floor(math.log10(width / 2)), 0), 6)
    if effect.value:
        return min(max(2 - math.floor(math.log10(abs(effect.value))), 0), 6)
    return 2


def fixed(value: float | None, places: int) -> str:
    """`-0.1234` at 2 places is `−0.12`; a value that rounds to nothing has no sign; no value is a dash."""
    if value is None or math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    shown = f"{value:.{places}f}"
    return shown.lstrip("-") if float(shown) == 0 else shown.replace("-", MINUS)


def significant(value: float, digits: int = 3) -> str:
    """`0.01234` is `0.0123` and `1234` is `1234` at three digits: no exponent, and never fewer than the whole ones."""
    if not math.isfinite(value) or value == 0:
        return fixed(value, 0)
    return fixed(value, min(max(digits - 1 - math.floor(math.log10(abs(value))), 0), 6))


def plain(value: float) -> str:
    """A number that somebody else rounded, e.g. the paper's: as it was given, with up to six digits."""
    return f"{value:g}".replace("-", MINUS)


def prose(text: str) -> str:
    """What others wrote, e.g. a rule: `climbs from -6.60` with a true minus sign, and `blocks 4-12` as it was."""
    return re.sub(r"(?<![\w.)-])-(?=\d)", MINUS, text)


def percent(level: float) -> str:
    """`0.95` is `95 %`."""
    return f"{100 * level:.4g}\N{NO-BREAK SPACE}%"


def interval(effect: Effect | Control) -> str:
    """`[0.12, 0.34]`, or nothing where the effect has no interval."""
    low, high = shown_bounds(effect)
    if low is None and high is None:
        return ""
    places = decimals(effect)
    return f"[{fixed(low, places)}, {fixed(high, places)}]"


def estimate(effect: Effect) -> str:
    """The effect on one line: `0.23 [0.12, 0.34] nats`."""
    parts = (fixed(effect.value, decimals(effect)), interval(effect), effect.unit)
    return " ".join(part for part in parts if part)


def duration(seconds: float) -> str:
    """`75` is `1 min 15 s`."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{seconds:.1f} s"
