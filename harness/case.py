"""A case: one claim on one data set with its models, over all seeds of the profile. One test item."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from harness.errors import HarnessError, nearest
from harness.probes.request import PROBES, ProbeRequest
from harness.profile import Profile
from harness.run import ModelSpec, Run, source_of

NO_DATA = "none"  # as the catalogue says it


@dataclass(frozen=True)
class Case:
    """What a test item needs, known at collection and without torch.

    Attributes:
        models: role -> the model that plays it, in the order in which the test names the roles.
        requests: what is measured of every run.
    """

    claim: str
    part: str | None
    dataset: str
    models: dict[str, ModelSpec]
    profile: Profile
    requests: tuple[ProbeRequest, ...]
    varying: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The case within its claim: part, data set, and the models of roles that several models play."""
        chosen = [str(self.models[role]).replace("/", "-") for role in self.varying]
        return "-".join([*([self.part] if self.part else []), self.dataset, *chosen])

    @property
    def seeds(self) -> list[int]:
        """Those of the profile; only the first where a network is not trained here, for it has no second replicate.

        None where there is no network at all.
        """
        if not self.models:
            return []
        fixed = any(spec.is_trained_already for spec in self.models.values())
        return self.profile.seeds[:1] if fixed else self.profile.seeds

    def run(self, role: str, seed: int, fingerprint: str) -> Run:
        model, recipe = self.models[role], self.profile.recipe
        if model.is_trained_already:
            recipe = recipe.model_copy(update={"epochs": 0, "warmup_epochs": 0})
        return Run(
            model=model,
            dataset=self.dataset,
            fingerprint=fingerprint,
            train_images=self.profile.images.train,
            recipe=recipe,
            seed=seed,
            source=source_of(model),
        )

    def runs(self, fingerprint: str) -> Iterator[Run]:
        """All runs, seed by seed, so that an early stop leaves whole replicates."""
        for seed in self.seeds:
            for role in self.models:
                yield self.run(role, seed, fingerprint)


def expand(
    claim: str, part: str | None, roles: Sequence[str], probes: Sequence[str], profile: Profile
) -> tuple[list[Case], list[str]]:
    """All cases of a test under a profile: data sets × the models of each role; and the roles that nobody plays.

    A test without roles is about mathematics: one case, with neither data nor networks.

    Raises:
        HarnessError: an unknown probe.
    """
    if not roles:
        return [Case(claim, part, NO_DATA, {}, profile, ())], []
    for probe in probes:
        if probe not in PROBES:
            raise HarnessError(f"claim {claim}: no probe {probe!r}; {nearest(probe, PROBES)}")
    missing = [role for role in roles if not profile.roles.get(role)]
    if missing:
        return [], missing
    varying = tuple(role for role in roles if len(profile.roles[role]) > 1)
    requests = tuple(profile.request(probe) for probe in probes)
    cases = [
        Case(claim, part, dataset, dict(zip(roles, models, strict=True)), profile, requests, varying)
        for dataset in profile.datasets
        for models in product(*(profile.roles[role] for role in roles))
    ]
    return cases, []
