"""A plan as text, and times as people say them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from harness.plan.plan import UNSEEN, Item, Plan


def describe(plan: Plan, workers: int) -> str:
    """The plan as text: a line a run, then the sums."""
    players = [f"{item.part}: {item.run.model}" for item in plan.items]
    width = max(map(len, ["role: model", *players]))
    head = f"{'role: model':<{width}}  {'data set':<10}{'seed':>5}  {'training':<12}{'about':>9}"
    lines = [f"{'run':<18}{head}  probes missing"]
    for item, player in zip(plan.items, players, strict=True):
        run = item.run
        training = "cached" if item.trained else f"{item.epochs} epochs" if item.epochs else "none"
        counts = Counter(request.probe for request in item.missing)
        probes = ", ".join(f"{name} ×{n}" if n > 1 else name for name, n in counts.items()) or "none"
        about = duration(item.training) if item.images else ""
        name = "?" if run.fingerprint == UNSEEN else run.run_id
        row = f"{player:<{width}}  {run.dataset:<10}{run.seed:>5}  {training:<12}{about:>9}"
        lines.append(f"{name:<18}{row}  {probes}")
    to_train = [item for item in plan.items if item.images]
    measurements = sum(len(item.missing) for item in plan.items)
    sums = f"{len(plan.items)} runs, {len(to_train)} to train; {measurements} measurements to make; "
    return "\n".join([*lines, sums + _time(plan.items, max(workers, 1))])


def costs(claims: dict[str, float], groups: dict[str, float], group_of: dict[str, str]) -> list[str]:
    """Worker hours of each claim alone and of each headline, a line a headline."""
    lines = []
    for group, seconds in groups.items():
        each = [f"{claim} {duration(cost)}" for claim, cost in claims.items() if group_of[claim] == group]
        lines.append(f"{group + ':':<13}{duration(seconds):>9} of one worker; alone {', '.join(each)}")
    return lines and [*lines, ""]


def _time(items: Sequence[Item], workers: int) -> str:
    """What all takes together; for trainings of which nothing is known, what they have to go through."""
    training, measuring = (sum(found or 0.0 for found in kind) for kind in _seconds(items))
    unknown = [item.images for item in items if item.training is None]
    text = f"about {duration((training + measuring) / workers)} with {workers} worker{'s' if workers > 1 else ''}"
    if training and measuring:
        text += f", {measuring / (training + measuring):.0%} of it measuring"
    if not unknown:
        return text
    rest = f"{len(unknown)} runs of models that were never trained here, {sum(unknown) / 1e6:,.1f} million images"
    return f"{text}, not counting {rest}" if training else f"time unknown: {rest}"


def _seconds(items: Sequence[Item]) -> Iterator[list[float | None]]:
    yield [item.training for item in items]
    yield [item.measuring for item in items]


def duration(seconds: float | None) -> str:
    """`12 s`, `3.4 min`, `5.1 h`, or `unknown`."""
    if seconds is None:
        return "unknown"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
