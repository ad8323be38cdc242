"""Profiles: how big a reproduction is. One TOML file each in `harness/profiles/`, or any path that ends in .toml."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from harness.data.catalogue import DATASETS, dataset_info
from harness.errors import HarnessError, nearest
from harness.evidence import first_problem
from harness.probes.request import PROBES, Parameters, ProbeRequest
from harness.run import SUBJECT, ModelSpec
from harness.training.recipe import Recipe, recipe_from
from models import list_models

FOLDER = Path(__file__).parent / "profiles"


class Images(BaseModel):
    """Class-balanced subsets; None for the whole split."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: int | None = Field(default=None, ge=1)
    test: int | None = Field(default=None, ge=1)


class Profile(BaseModel):
    """What to train and measure, and how much of it.

    Attributes:
        roles: who plays which part of a claim; a role with several models makes a case for each.
        keep: epochs behind the warm-up whose weights are kept besides the last; 0 is the end of the warm-up.
        throughput: training images per second and CPU core by model name, for the plan's estimate before anything of
            the kind has been trained here.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    about: str
    datasets: list[str] = Field(min_length=1)
    images: Images = Images()
    seeds: list[int] = Field(min_length=1)
    roles: dict[str, list[ModelSpec]]
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

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) != len(seeds):
            raise ValueError("a seed occurs twice; a repeated seed is the same run, not another replicate")
        return seeds

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

    def parameters(self, probe: str) -> Parameters:
        kind = PROBES[probe].parameters
        try:
            return kind.model_validate(self.probes.get(probe, {}))
        except ValidationError as error:
            unknown = [str(problem["loc"][-1]) for problem in error.errors() if problem["type"] == "extra_forbidden"]
            hint = f"; {nearest(unknown[0], kind.model_fields)}" if unknown else ""
            raise ValueError(f"probes.{probe}.{first_problem(error)}{hint}") from None

    def request(self, probe: str) -> ProbeRequest:
        return ProbeRequest(probe=probe, parameters=self.parameters(probe), test_images=self.images.test)

    def train_size(self, dataset: str) -> int:
        return self.images.train or dataset_info(dataset).train_images

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
        return self.model_copy(update={"roles": roles})


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
    if parents and parents[0] in ("recipe", "images"):
        fields = {"base": None, **Recipe.model_fields} if parents[0] == "recipe" else dict(Images.model_fields)
    place = ".".join(str(part) for part in problem["loc"])
    return f"unknown key {place!r}; {nearest(str(key), fields)}"
