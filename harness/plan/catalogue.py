"""The catalogue of claims: what the paper says and how each statement is judged (`claims/catalogue.toml`),
and the curves of its figures (`claims/curves.toml`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from harness.errors import HarnessError, first_problem, nearest
from harness.plan.study import Place
from harness.store.identity import digest

# The paper's data sets as the catalogue spells them.
PAPER_DATASETS = {
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "cifar100-c": "CIFAR-100-C",
    "imagenet": "ImageNet-1K",
    "imagenet-c": "ImageNet-C",
}


class Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


# Of a share, or the difference of two, and of a rank correlation.
RANGES = {"share": (-1.0, 1.0), "rank correlation": (-1.0, 1.0)}


class EffectRule(Entry):
    """An effect that the rule names; larger means more as the paper says, `null` is the value of no effect.

    Attributes:
        quantity: what is compared, and with `protocol` how it was measured, where the report needs to know.
        paired: whether its two networks are compared seed by seed: accuracies, and variants of one network.
        trained: whether it is about what training makes of a network: then the trained network also has to exceed the
            untrained one of the same seed.
        within: where the truth lies, whatever it is, if that is less than its unit allows (`range`).
        paper: the paper's number; where the null is a margin (no worse than ...), of the same difference.
        each: what the `{}` in the name stands for ("stage", "step"): one effect for each that the networks have, all of
            which the rule names; `papers` are the paper's numbers by what stands there, `paper` that of any other.
    """

    name: str
    each: str | None = None
    quantity: str | None = None
    protocol: str | None = None
    unit: str
    null: float
    decides: bool
    paired: bool = False
    trained: bool = False
    within: tuple[float, float] | None = None
    paper: float | None = None
    papers: dict[str, float] = {}
    source: str | None = None

    @model_validator(mode="after")
    def _a_place_for_each(self) -> EffectRule:
        if self.name.count("{}") != (self.each is not None):
            raise ValueError(f"effect {self.name!r}, each = {self.each!r}: one {{}} in the name, if there is an each")
        if self.papers and self.each is None:
            raise ValueError(f"effect {self.name!r} has papers, which are of an effect for each of something")
        return self

    @property
    def range(self) -> tuple[float, float] | None:
        """Where its truth lies, whatever it is; None for what may be any number."""
        return self.within or RANGES.get(self.unit)

    def called(self, name: str) -> EffectRule | None:
        """The effect of this name: itself, or that one of many; None where it is another's name."""
        if self.each is None:
            return self if name == self.name else None
        before, _, after = self.name.partition("{}")
        place = name.removeprefix(before).removesuffix(after)
        if not place or before + place + after != name:
            return None
        here: dict[str, Any] = {"name": name, "each": None, "paper": self.papers.get(place, self.paper), "papers": {}}
        return self.model_copy(update=here)


class Premise(Entry):
    """What has to hold for a rule to say anything: a number that a test measures, and the least that it may be."""

    name: str
    unit: str
    least: float

    def called(self, name: str) -> Premise | None:
        """Itself, if this is its name."""
        return self if name == self.name else None


class Rule(Entry):
    """How one part of a claim is judged: every deciding effect must lie above its null.

    Attributes:
        premises: without which the case is out of scope.
        least_image: images of fewer pixels a side are out of scope.
    """

    part: str | None = None
    text: str
    effects: list[EffectRule]
    premises: list[Premise] = []
    least_image: int = 0

    @property
    def compares(self) -> bool:
        """Whether networks with random weights have a part in the verdict: else their effects are only shown."""
        return any(effect.trained for effect in self.effects)

    def measured(self, names: Iterable[str]) -> list[EffectRule]:
        """The effects of these names, in the order of the rule; those of one for each in the order of the names."""
        there = list(dict.fromkeys(names))
        return [found for effect in self.effects for name in there if (found := effect.called(name))]

    @cached_property
    def sha256(self) -> str:
        """Changes with the rule, so that nobody tunes a rule unseen after the result."""
        described = {"effects": {"__all__": {"quantity", "protocol", "within"}}}
        return digest(self.model_dump(mode="json", exclude={"sha256": True, **described}))


class StudyAxis(Entry):
    """How a study is drawn: the label of its axis, and whether the paper fits a power law along it."""

    axis: str
    power_law: bool = False


class Series(Entry):
    """A curve digitised from the paper's figure, drawn beside ours where the two are comparable.

    Of a curve by units, `kinds` says what they are, and `stages` to which stage each belongs where it has several.

    `over` says what `x` counts where a role or a moment of ours is one of its points: a study of the paper's. `at` is
    where all of the curve stands on a study of the claim.
    """

    name: str
    model: str
    role: str
    quantity: str
    values: list[float]
    x: list[float | str] | None = None
    over: str | None = None
    at: Place | None = None
    kinds: list[str] | None = None
    stages: list[int] | None = None


class Claim(Entry):
    """One statement of the paper.

    Attributes:
        text_against_plot: where the paper's words and its own figure disagree.
        picture: how its probe draws what it claims, where the probe's own figure shows that among much else.
        theorem: whether it is one: it holds by proof, and its numbers are shown and not counted as a reproduction.
    """

    id: str
    group: str
    title: str
    statement: str
    figure: str
    dataset: str
    epochs: int
    models: dict[str, str]
    studies: dict[str, StudyAxis] = {}
    protocols: dict[str, dict[str, bool | float | str]] = {}
    picture: str | None = None
    theorem: bool = False
    not_run: str | None = None
    text_against_plot: str | None = None
    note: str | None = None
    rules: list[Rule] = []
    series: list[Series] = []

    @model_validator(mode="after")
    def _rules_or_a_reason(self) -> Claim:
        if bool(self.rules) == bool(self.not_run):
            raise ValueError(f"claim {self.id} needs either rules or a reason in not_run")
        return self

    @model_validator(mode="after")
    def _protocols_that_are_described(self) -> Claim:
        for effect in (effect for rule in self.rules for effect in rule.effects):
            if effect.protocol is not None and effect.protocol not in self.protocols:
                hint = nearest(effect.protocol, self.protocols)
                raise ValueError(f"claim {self.id} has no protocol {effect.protocol!r} (of {effect.name!r}); {hint}")
        return self

    @property
    def dataset_title(self) -> str:
        """Of what the paper measured on."""
        return PAPER_DATASETS.get(self.dataset, self.dataset)

    def rule(self, part: str | None) -> Rule:
        for rule in self.rules:
            if rule.part == part:
                return rule
        parts = [repr(rule.part) for rule in self.rules]
        raise HarnessError(f"claim {self.id} has no rule for part {part!r}; it has {', '.join(parts) or 'no rules'}")


class Catalogue:
    """All claims by id, in the order of the file."""

    def __init__(self, claims: dict[str, Claim], path: Path):
        self.claims = claims
        self.path = path

    def __getitem__(self, claim: str) -> Claim:
        if claim not in self.claims:
            raise HarnessError(f"no claim {claim!r} in {self.path}; {nearest(claim, self.claims)}")
        return self.claims[claim]


def load_catalogue(path: Path) -> Catalogue:
    """Read and check the catalogue, with the paper's curves where there is a `curves.toml` beside it.

    Raises:
        HarnessError: a file is missing, not TOML, or an entry is wrong; the message names the key.
    """
    curves_path = path.with_name("curves.toml")
    entries = _toml(path)
    curves = _toml(curves_path) if curves_path.exists() else {}
    if strangers := [claim for claim in curves if claim not in entries]:
        raise HarnessError(f"{curves_path}: no claim {strangers[0]!r} in {path.name}; {nearest(strangers[0], entries)}")
    try:
        claims = {
            name: Claim.model_validate({"id": name, **entry, "series": curves.get(name, [])})
            for name, entry in entries.items()
        }
    except ValidationError as error:
        raise HarnessError(f"{path}: {error.title}: {first_problem(error)}") from error
    return Catalogue(claims, path)


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise HarnessError(f"cannot read the catalogue {path}: {error}") from error
