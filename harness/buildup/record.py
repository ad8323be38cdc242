"""What a build-up found: in words for the terminal, as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.buildup.rules import Comparison, Placement, Step
from harness.buildup.size import Size
from harness.store.files import write_atomically


@dataclass(frozen=True)
class Tested:
    """The final network on the test set, which no step has seen.

    Attributes:
        accuracy: share of right images, the mean over `seeds`.
        above_none: against the network without MSAs; None where no MSA was kept.
        control: a convolutional network of about as many parameters, with its size; None where none is nearer in
            size than the network without MSAs, or its widths cannot be scaled.
    """

    accuracy: float
    seeds: int
    above_none: Comparison | None
    control: str | None
    control_size: Size | None
    above_control: Comparison | None


@dataclass
class Record:
    """A build-up so far.

    Attributes:
        maps: side of each stage's map. room: MSAs that fit each stage.
        msas: how MSAs are built.
        trained, held_out: training images that runs learn from, and that placements are compared on.
    """

    model: str
    dataset: str
    profile: str
    maps: tuple[int, ...]
    room: tuple[int, ...]
    msas: dict[str, Any]
    trained: int
    held_out: int
    steps: list[Step] = field(default_factory=list)
    sizes: dict[Placement, Size] = field(default_factory=dict)
    tested: Tested | None = None

    @property
    def final(self) -> Placement:
        return self.steps[-1].after if self.steps else (0,) * len(self.room)

    def head(self) -> Iterator[str]:
        """What there is to build in, before anything is trained."""
        heads, window = ", ".join(map(str, self.msas["heads"])), self.msas["window"]
        yield f"{self.model} on {self.dataset}: stages with maps of {', '.join(map(str, self.maps))} px"
        yield f"room for {', '.join(map(str, self.room))} MSAs, every second block from the end, windows of {window} px"
        yield f"rule 3: heads double from stage to stage, {heads} heads of {self.msas['dim_head']} channels"
        yield f"{self.trained:,} images to learn from, {self.held_out:,} to choose on; test images only at the end"

    def told(self, step: Step) -> Iterator[str]:
        """A step in words."""
        yield f"step {step.number}: {shown(step.before)} -> {shown(step.placement)}; {step.why}"
        yield f"  {self.sizes[step.before]} -> {self.sizes[step.placement]}"
        yield f"  held out: {step.comparison}"
        yield f"  {step.outcome}"

    def conclusion(self) -> Iterator[str]:
        """The final network on the test set, in words."""
        tested = self.tested
        assert tested is not None
        yield f"final: {shown(self.final)}, {self.sizes[self.final]}"
        if tested.above_none is None:
            yield f"no MSA brought a gain; the network as it is: {tested.accuracy:.2%} of the test set"
            return
        yield f"test set, without MSAs -> with: {tested.above_none} ({_sure(tested.above_none)})"
        against = tested.above_control or tested.above_none
        if tested.above_control is None:
            yield "no control: the network without MSAs is the nearest in size, or has no widths to scale"
        else:
            yield f"test set, {tested.control} ({tested.control_size}) -> with MSAs: {tested.above_control}"
        if not (against.gain and against.decided):
            yield "so it is not shown to beat a convolutional network of its size"

    def lines(self) -> Iterator[dict[str, Any]]:
        """The log: what was begun with, each step, the test."""
        names = ("model", "dataset", "profile", "maps", "room", "msas", "trained", "held_out")
        yield {"event": "begin", **{name: getattr(self, name) for name in names}}
        for step in self.steps:
            sizes = {"size_before": asdict(self.sizes[step.before]), "size": asdict(self.sizes[step.placement])}
            told = {"kept": step.kept, "outcome": step.outcome}
            yield {"event": "step", **asdict(step), **told, **sizes}
        if self.tested is not None:
            yield {"event": "test", "placement": self.final, **asdict(self.tested)}

    def result(self) -> dict[str, Any]:
        """What to build: `create_model(model, ..., alternate=result["alternate"])`."""
        alternate = {"placement": self.final, **self.msas} if any(self.final) else None
        tested = asdict(self.tested) if self.tested else None
        sizes = {"size": asdict(self.sizes[self.final]), "size_without": asdict(self.sizes[(0,) * len(self.room)])}
        return {"model": self.model, "dataset": self.dataset, "alternate": alternate, **sizes, "tested": tested}


def write_record(results: Path, record: Record) -> None:
    """`log.jsonl`, a line an event, and `result.json` once there is one."""
    lines = "".join(json.dumps(line) + "\n" for line in record.lines())
    write_atomically(results / "log.jsonl", lines.encode())
    if record.tested is not None:
        write_atomically(results / "result.json", (json.dumps(record.result(), indent=2) + "\n").encode())


def shown(placement: Placement) -> str:
    """MSAs per stage as the paper writes them."""
    return f"({','.join(map(str, placement))})"


def _sure(comparison: Comparison) -> str:
    if not comparison.decided:
        return f"undecided: {comparison.why_open}"
    return "a gain" if comparison.gain else "a loss"
