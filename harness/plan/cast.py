"""Who plays a role: a network with its training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.plan.profile import Profile
from harness.plan.recipe import Recipe
from harness.plan.run import ModelSpec
from harness.plan.study import Point, Study, in_order


@dataclass(frozen=True)
class Player:
    """Who plays a role: a model with its recipe and its share of the training images."""

    model: ModelSpec
    recipe: Recipe
    share: float = 1.0
    recipe_changes: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        """The model, and what of its training is not as the profile has it for the other roles."""
        changes = [f"{key} {value}" for key, value in self.recipe_changes]
        changes += [f"{100 * self.share:g} % of the training images"] if self.share != 1 else []
        return ", ".join([str(self.model), *changes])


def player(profile: Profile, role: str, lead: ModelSpec) -> Player:
    """Who plays a role while `lead` plays the one that it is a variant of, or the role itself."""
    if lead.is_trained_already:
        return Player(lead, untrained(profile.recipe))
    if role not in profile.variants:
        return Player(lead, profile.recipe)
    variant = profile.variants[role]
    model = lead.model_copy(update={"overrides": {**lead.overrides, **variant.model}})
    recipe = profile.recipe_of(variant)
    changes = tuple((key, value) for key, value in variant.recipe.items() if value != getattr(profile.recipe, key))
    return Player(model, recipe, variant.share, changes)


def untrained(recipe: Recipe) -> Recipe:
    """Of a run that keeps the weights it begins with; its training images are still augmented as the recipe says."""
    return recipe.model_copy(update={"epochs": 0, "warmup_epochs": 0})


@dataclass(frozen=True)
class Roles:
    """What the roles of a test are under a profile.

    Attributes:
        names: in the order in which the test names them, a study's in the order of the study.
        points: of those that are points of a study.
        missing: in words, what nobody plays.
    """

    names: tuple[str, ...]
    points: dict[str, Point]
    missing: tuple[str, ...]


def points_of(profile: Profile, wanted: Study) -> dict[str, Point]:
    """The variants of a profile that a study stands for: numbers rising, then words as they are listed."""
    points = {role: point for role, variant in profile.variants.items() if (point := variant.point)}
    mine = [
        (role, point)
        for role, point in points.items()
        if (point.of, point.study) == (wanted.of, wanted.study) and wanted.at in (None, point.at)
    ]
    return dict(sorted(mine, key=lambda found: in_order(found[1].at)))


def roles_of(profile: Profile, wanted: Sequence[str | Study]) -> Roles:
    """Find the roles that a test asks for, by name or as a study."""
    points: dict[str, Point] = {}
    names: list[str] = []
    missing: list[str] = []
    for each in wanted:
        found = points_of(profile, each) if isinstance(each, Study) else dict.fromkeys([each])
        names += found
        points |= {role: point for role, point in found.items() if point}
        if not found or not all(map(profile.has, found)):
            missing.append(str(each) if isinstance(each, Study) else f"model for role {each}")
    return Roles(tuple(dict.fromkeys(names)), points, tuple(missing))
