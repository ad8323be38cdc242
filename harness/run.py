"""A run: one training, named by what it is made of."""

from __future__ import annotations

import hashlib
import importlib.util
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from harness.errors import HarnessError
from harness.identity import short_digest
from harness.training.recipe import Recipe

# Raised whenever the same run would come out with other weights: it is a part of every run's identity.
TRAINING_VERSION = 1


class ModelSpec(BaseModel):
    """A network by name, with the arguments that differ from its defaults."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    overrides: dict[str, Any] = {}

    def __str__(self) -> str:
        arguments = ", ".join(f"{key}={value}" for key, value in sorted(self.overrides.items()))
        return f"{self.name}({arguments})" if arguments else self.name


class Run(BaseModel):
    """Model × data set × recipe × seed. Two runs with the same `run_id` are the same training.

    Attributes:
        fingerprint: of the data set's content.
        train_images: size of the class-balanced training subset; None for all.
        source: SHA-256 of the file that defines a person's own model; None for models of this project.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: ModelSpec
    dataset: str
    fingerprint: str
    train_images: int | None
    recipe: Recipe
    seed: int
    source: str | None = None
    version: int = TRAINING_VERSION

    @cached_property
    def run_id(self) -> str:
        return short_digest(self.model_dump(mode="json", exclude={"run_id"}))

    @property
    def folder(self) -> str:
        """The store's folder of this run; it is also what processes lock that work on the run."""
        return f"runs/{self.run_id}"

    @property
    def checkpoint_key(self) -> str:
        """Where the finished checkpoint is kept."""
        return f"{self.folder}/final"

    def __str__(self) -> str:
        return f"{self.model} on {self.dataset}, seed {self.seed}"


SUBJECT = "subject/"


def source_of(model: ModelSpec) -> str | None:
    """What identifies the code of a person's own model: the SHA-256 of the file that its factory stands in.

    Raises:
        HarnessError: the name is not `package.module:factory`, or no such module is on the path.
    """
    if not model.name.startswith(SUBJECT):
        return None
    target = model.name.removeprefix(SUBJECT)
    module, colon, factory = target.partition(":")
    if not (colon and module and factory.isidentifier()):
        raise HarnessError(f"--subject {target!r} is not of the form package.module:factory")
    try:
        found = importlib.util.find_spec(module)
    except ImportError as error:
        raise HarnessError(f"--subject {target!r}: cannot import {module!r} ({error})") from error
    if found is None or found.origin is None or not Path(found.origin).is_file():
        raise HarnessError(f"--subject {target!r}: no module {module!r} on the path; run from the folder that holds it")
    return hashlib.sha256(Path(found.origin).read_bytes()).hexdigest()
