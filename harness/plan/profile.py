"""Profiles: how big a reproduction is. One TOML file each in `harness/profiles/`, or any path that ends in .toml."""

from __future__ import annotations

import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from harness.data.catalogue import DATASETS, dataset_info
from harness.errors import HarnessError, first_problem, nearest
from harness.plan.recipe import Recipe, recipe_from
from harness.plan.run import SUBJECT, ModelSpec
from harness.plan.study import Place, Point
from harness.probes.kinds import PROBES, Parameters
from models import list_models

FOLDER = Path(__file__).parents[1] / "profiles"


class Images(BaseModel):
    """Class-balanced subsets; None for the whole split."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: int | None = Field(default=None, ge=1)
    test: int | None = Field(default=None, ge=1)


class Variant(BaseModel):
    """A role that differs from another one: in arguments of its model, in the recipe, or in how much it learns from.

    Attributes:
        of: the other role.
        study: what is varied, where a claim compares several such roles; `at` is where this one stands.
        share: of the training images.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    of: str
    study: str | None = None
    at: Place | None = None
    model: dict[str, Any] = {}
    recipe: dict[str, Any] = {}
    share: float = Field(default=1.0, gt=0, le=1)

    @model_validator(mode="after")
    def _study_and_place(self) -> Variant:
        if (self.study is None) != (self.at is None):
            raise ValueError(f"study = {self.study!r} and at = {self.at!r}: a point of a study needs both")
        return self

    @property
    def point(self) -> Point | None:
        """Of the study that it is a part of."""
        return None if self.study is None or self.at is None else Point(of=self.of, study=self.study, at=self.at)


class Profile(BaseModel):
    """What to train and measure, and how much of it.

    Attributes:
        roles: who plays which part of a claim; a role with several models makes a case for each.
        variants: further roles, made from these.
        looks: seeds behind each judging of a case: an undecided one gets the seeds of the next look.
        most_seeds: looks beyond so many are not taken; of a smaller number than the first look's, one is made.
        claims: those that it judges, `L2` with all of its parts or `L2 warmup` alone; None for all.
        floors: role -> least test accuracy (share) of a network that has learned; a role without one has to be well
            above chance.
        keep: epochs behind the warm-up whose weights are kept besides the last; 0 is the end of the warm-up.
        throughput: training images per second and CPU core by model name, and by name with options where these change
            much, as the plan writes them: `vit_mini(patch_size=8)`; for its estimate before anything of the kind has
            been trained here.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    about: str
    datasets: list[str] = Field(min_length=1)
    images: Images = Images()
    looks: tuple[int, ...] = Field(default=(3, 5, 8, 13), min_length=1)
    most_seeds: int | None = Field(default=None, ge=1)
    claims: list[str] | None = None
    floors: dict[str, float] = {}
    roles: dict[str, list[ModelSpec]]
    variants: dict[str, Variant] = {}
    recipe: Recipe
    keep: list[int] = []
    probes: dict[str, dict[str, Any]] = {}
    throughput: dict[str, float] = {}

    @field_validator("datasets")
    @classmethod
    def _known_datasets(cls, names: list[str]) -> list[str]:
        for name in names:
            if name not in DATASETS:
                raise ValueError(f"no data set {name!r}; {nearest(name, DATASETS)}")
        return names

    @field_validator("recipe", mode="before")
    @classmethod
    def _named_recipe(cls, changes: Any) -> Any:
        try:
            return recipe_from(changes) if isinstance(changes, dict) else changes
        except HarnessError as error:
            raise ValueError(str(error)) from None

    @field_validator("looks")
    @classmethod
    def _looks_rise(cls, looks: tuple[int, ...]) -> tuple[int, ...]:
        if looks[0] < 1 or any(later <= earlier for earlier, later in pairwise(looks)):
            raise ValueError(f"looks = {list(looks)}: seeds behind each look, each more than before, at least 1")
        return looks

    @property
    def planned_looks(self) -> tuple[int, ...]:
        """Seeds behind each look. Fewer seeds than the first look has are a look of their own."""
        few = self.most_seeds is not None and self.most_seeds < self.looks[0]
        return (self.most_seeds, *self.looks) if few and self.most_seeds else self.looks

    @property
    def allowed_looks(self) -> tuple[int, ...]:
        """Those that may be taken."""
        return tuple(look for look in self.planned_looks if self.most_seeds is None or look <= self.most_seeds)

    @field_validator("roles", mode="before")
    @classmethod
    def _one_model_or_several(cls, roles: Any) -> Any:
        """Accept `"vit_micro"`, `{name = ..., patch_size = 4}` or a list of these."""
        if not isinstance(roles, dict):
            return roles
        return {
            role: [_spec(entry) for entry in (value if isinstance(value, list) else [value])]
            for role, value in roles.items()
        }

    @field_validator("roles")
    @classmethod
    def _known_models(cls, roles: dict[str, list[ModelSpec]]) -> dict[str, list[ModelSpec]]:
        known = list_models()
        for role, specs in roles.items():
            for spec in specs:
                if spec.name not in known and not spec.name.startswith((SUBJECT, "timm/")):
                    raise ValueError(f"no model {spec.name!r} for role {role!r}; {nearest(spec.name, known)}")
        return roles

    @model_validator(mode="after")
    def _variants_of_roles(self) -> Profile:
        for name, variant in self.variants.items():
            if name in self.roles:
                raise ValueError(f"variants.{name}: there is a role of this name")
            if variant.of not in self.roles:
                raise ValueError(f"variants.{name}: no role {variant.of!r}; {nearest(variant.of, self.roles)}")
            same = [other for other, each in self.variants.items() if variant.point and each.point == variant.point]
            if same[1:]:
                raise ValueError(f"variants.{same[0]} and variants.{same[1]} are the same point: {variant.point!r}")
            try:
                self.recipe_of(variant)
            except ValidationError as error:
                problem = error.errors()[0]
                key = str(problem["loc"][-1]) if problem["loc"] else ""
                hint = f"; {nearest(key, Recipe.model_fields)}" if problem["type"] == "extra_forbidden" else ""
                raise ValueError(f"variants.{name}.recipe.{first_problem(error)}{hint}") from None
        return self

    @model_validator(mode="after")
    def _floors_of_roles(self) -> Profile:
        known = [*self.roles, *self.variants]
        for role, floor in self.floors.items():
            if role not in known:
                raise ValueError(f"floors.{role}: no such role; {nearest(role, known)}")
            if not 0 <= floor <= 1:
                raise ValueError(f"floors.{role} = {floor}: a share of the test images, 0 to 1")
        return self

    @model_validator(mode="after")
    def _epochs_that_are_reached(self) -> Profile:
        for epoch in self.keep:
            if not 0 <= epoch <= self.recipe.epochs or (epoch == 0 and not self.recipe.warmup_epochs):
                raise ValueError(f"keep = {self.keep}: the recipe has {self.recipe.epochs} epochs behind its warm-up")
        return self

    @model_validator(mode="after")
    def _probe_parameters(self) -> Profile:
        for name in self.probes:
            if name not in PROBES:
                raise ValueError(f"no probe {name!r}; {nearest(name, PROBES)}")
            self.parameters(name)
        return self

    def judges(self, claim: str, part: str | None) -> bool:
        """Whether it is a claim that this profile is made for."""
        return self.claims is None or claim in self.claims or f"{claim} {part}" in self.claims

    def recipe_of(self, variant: Variant) -> Recipe:
        """The profile's, with what the variant changes."""
        return Recipe.model_validate({**self.recipe.model_dump(), **variant.recipe})

    def has(self, role: str) -> bool:
        """Whether somebody plays it; networks that are not trained here come in no variants."""
        leads = self.roles.get(self.lead(role), [])
        return bool(leads) and not (role in self.variants and any(spec.is_trained_already for spec in leads))

    def lead(self, role: str) -> str:
        """The role that a variant is made from; any other role itself."""
        return self.variants[role].of if role in self.variants else role

    def parameters(self, probe: str, changes: dict[str, Any] | None = None) -> Parameters:
        """The parameters of a probe, as the profile and these changes have them."""
        kind = PROBES[probe].parameters
        try:
            return kind.model_validate({**self.probes.get(probe, {}), **(changes or {})})
        except ValidationError as error:
            unknown = [str(problem["loc"][-1]) for problem in error.errors() if problem["type"] == "extra_forbidden"]
            hint = f"; {nearest(unknown[0], kind.model_fields)}" if unknown else ""
            raise ValueError(f"probes.{probe}.{first_problem(error)}{hint}") from None

    def train_images(self, share: float, dataset: str, available: int | None = None) -> int | None:
        """The size of the class-balanced training subset for a share of what the profile trains on; None for all."""
        return self.images.train if share == 1 else round(share * self.train_size(dataset, available))

    def train_size(self, dataset: str, available: int | None = None) -> int:
        """Training images of a role without a share, where so many are there (None: as many as were published)."""
        return self.images.train or available or dataset_info(dataset).train_images

    def with_seeds(self, most: int | None) -> Profile:
        """The same profile with no more than so many seeds; itself for None.

        Raises:
            HarnessError: fewer than one.
        """
        if most is None:
            return self
        if most < 1:
            raise HarnessError(f"--seeds {most}: at least one")
        return self.model_copy(update={"most_seeds": most})

    def with_subject(self, subject: str, checkpoint: Path | None = None) -> Profile:
        """The same profile with a person's own model in one role: `[role=]package.module:factory`, role `vit` if none
        is given; with a checkpoint, the model is not trained but measured with those weights.

        Raises:
            HarnessError: the profile has no such role.
        """
        role, equals, target = subject.rpartition("=")
        role = role if equals else "vit"
        if role not in self.roles:
            raise HarnessError(
                f"--subject {subject!r}: no role {role!r} in profile {self.name}; {nearest(role, self.roles)}"
            )
        overrides = {"checkpoint": str(checkpoint)} if checkpoint else {}
        roles = {**self.roles, role: [ModelSpec(name=SUBJECT + target, overrides=overrides)]}
        # A person's model need not take the arguments that a variant changes; nor is it trained in other ways if it
        # comes with its weights.
        variants = {
            name: variant
            for name, variant in self.variants.items()
            if variant.of != role or not (variant.model or checkpoint)
        }
        return self.model_copy(update={"roles": roles, "variants": variants})


def _spec(entry: Any) -> Any:
    if isinstance(entry, str):
        return {"name": entry}
    if isinstance(entry, dict) and "overrides" not in entry:
        overrides = {key: value for key, value in entry.items() if key != "name"}
        return {"name": entry.get("name"), "overrides": overrides}
    return entry


def load_profile(name: str) -> Profile:
    """Read and check a profile by name, or by path.

    Raises:
        HarnessError: no such profile, not TOML, or a wrong key, model or data set; names the file, the key and the
            nearest valid name.
    """
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    if not path.is_file():
        known = [entry.stem for entry in FOLDER.glob("*.toml")]
        raise HarnessError(f"no profile {name!r}; {nearest(name, known)}")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return Profile.model_validate({"name": path.stem, **content})
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise HarnessError(f"cannot read {path}: {error}") from error
    except ValidationError as error:
        raise HarnessError(f"{path}: {_explain(error)}") from error


def _explain(error: ValidationError) -> str:
    """An unknown key gets the nearest valid one; everything else is said as pydantic says it."""
    # A misspelt key is also a missing one: the misspelling says more.
    problem = next((each for each in error.errors() if each["type"] == "extra_forbidden"), None)
    if problem is None:
        return first_problem(error).replace("Value error, ", "")
    *parents, key = problem["loc"]
    fields: dict[str, Any] = dict(Profile.model_fields)
    if parents:
        known: dict[str, type[BaseModel]] = {"recipe": Recipe, "images": Images, "variants": Variant}
        within = known.get(str(parents[0]))
        fields = dict(within.model_fields) if within else fields
        fields |= {"base": None} if within is Recipe else {}
    place = ".".join(str(part) for part in problem["loc"])
    return f"unknown key {place!r}; {nearest(str(key), fields)}"
