"""A run: one training, named by what it is made of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from harness.errors import HarnessError
from harness.plan.recipe import Recipe
from harness.plan.sources import own_files
from harness.store.identity import digest, short_digest
from models.subject import short

if TYPE_CHECKING:
    from harness.store import Store

# Raised whenever the same run would come out with other weights: it is a part of every run's identity.
TRAINING_VERSION = 1
SUBJECT = "subject/"  # before the name of a person's own network


class ModelSpec(BaseModel):
    """A network by name, with the arguments that differ from its defaults."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    overrides: dict[str, Any] = {}

    @property
    def is_trained_already(self) -> bool:
        """Whether its weights come from elsewhere: then it is measured as it is, and every seed would be the same."""
        return bool(self.overrides.get("pretrained") or self.overrides.get("checkpoint"))

    @property
    def with_random_weights(self) -> ModelSpec:
        """The same network without weights from elsewhere."""
        overrides = {key: value for key, value in self.overrides.items() if key not in ("pretrained", "checkpoint")}
        return ModelSpec(name=self.name, overrides=overrides)

    @property
    def without_folders(self) -> ModelSpec:
        """The same with files of a person's own named without their folders, which differ from machine to machine."""
        name, overrides = self.name, dict(self.overrides)
        if name.startswith(SUBJECT):
            name = SUBJECT + short(name.removeprefix(SUBJECT))
        if checkpoint := overrides.get("checkpoint"):
            overrides["checkpoint"] = Path(checkpoint).name
        return ModelSpec(name=name, overrides=overrides)

    def __str__(self) -> str:
        shown = self.without_folders
        arguments = ", ".join(f"{key}={value}" for key, value in sorted(shown.overrides.items()))
        return f"{shown.name}({arguments})" if arguments else shown.name


FINISHED = "final"  # weights
TOLD = "-told"  # of weights that were removed: the course of their training, and what is known of it


class Run(BaseModel):
    """Model × data set × recipe × seed. Two runs with the same `run_id` are the same training.

    Attributes:
        fingerprint: of the data set's content.
        train_images: size of the class-balanced training subset; None for all.
        source: of a network or weights from elsewhere, see `source_of`; None for models of this project.
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
        """Of all that the training is made of; of code and weights from elsewhere their content, not their folder."""
        plain = self.model_dump(mode="json", exclude={"run_id"})
        return short_digest({**plain, "model": self.model.without_folders.model_dump(mode="json")})

    @property
    def folder(self) -> str:
        """The store's folder of this run; it is also what processes lock that work on the run."""
        return f"runs/{self.run_id}"

    @property
    def checkpoint_key(self) -> str:
        """Where the finished checkpoint is kept."""
        return f"{self.folder}/{FINISHED}"

    def weights_key(self, epoch: int | None) -> str:
        """Where the weights after so many epochs behind the warm-up are kept if asked for; None for the finished."""
        return self.checkpoint_key if epoch is None else f"{self.folder}/epoch-{epoch:04d}"

    def told_key(self, epoch: int | None) -> str:
        """Where the course of the training and what is known of it stay when these weights are removed."""
        return self.weights_key(epoch) + TOLD

    def __str__(self) -> str:
        return f"{self.model} on {self.dataset}, seed {self.seed}"


def missing_weights(store: Store, run: Run, wanted: Iterable[int | None]) -> list[int | None]:
    """Those of the wanted weights of a run that the store lacks: epochs behind the warm-up, None for the finished."""
    return [epoch for epoch in wanted if store.read(run.weights_key(epoch)) is None]


def training_meta(store: Store, run: Run, epoch: int | None) -> dict[str, Any] | None:
    """What is known of a training until then: run, seconds, images_per_second, device, versions; None of none."""
    return store.meta(run.weights_key(epoch)) or store.meta(run.told_key(epoch))


def source_of(model: ModelSpec) -> str | None:
    """What identifies code and weights from elsewhere: the digest of the file that the factory of a person's own model
    stands in, of the modules of their own that it imports, and of the checkpoint file; None when there is neither.

    Raises:
        HarnessError: there is no such file, module or checkpoint, or the name has another form.
    """
    files = []
    if model.name.startswith(SUBJECT):
        files += own_files(model.name.removeprefix(SUBJECT))
    if checkpoint := model.overrides.get("checkpoint"):
        files.append(Path(checkpoint))
    try:
        sums = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    except OSError as error:
        raise HarnessError(f"cannot read {error.filename}: {error.strerror}") from error
    return None if not sums else sums[0] if len(sums) == 1 else digest(sums)
