"""A case: one claim on one data set with its models, over all seeds of the profile. One test item."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

from harness.data.catalogue import dataset_info
from harness.errors import HarnessError
from harness.plan.cast import Player, player, roles_of
from harness.plan.profile import Profile
from harness.plan.run import ModelSpec, Run, source_of
from harness.plan.study import Point, Study
from harness.plan.wanted import ProbeRequest, Wanted, in_full

NO_DATA = "none"  # as the catalogue says it


@dataclass(frozen=True)
class Case:
    """What a test item needs, known at collection and without torch.

    Attributes:
        roles: in the order in which the test names them.
        points: of those roles that are points of a study.
        cast: role of the profile -> the model that plays it and its variants here.
        probes: what is measured of every run.
        available: training images that are there; None as long as that is unknown, or as many as were published.
    """

    claim: str
    part: str | None
    dataset: str
    roles: tuple[str, ...]
    points: dict[str, Point]
    cast: dict[str, ModelSpec]
    profile: Profile
    probes: tuple[Wanted, ...]
    available: int | None = None

    def given(self, train_images: int) -> Case:
        """The same case where so many training images are there: a share is one of these."""
        published = dataset_info(self.dataset).train_images
        return self if train_images in (0, published) else replace(self, available=train_images)

    @property
    def name(self) -> str:
        """The case within its claim: part, data set, and the models of roles that several models play."""
        chosen = [str(spec).replace("/", "-") for role, spec in self.cast.items() if len(self.profile.roles[role]) > 1]
        return "-".join([*([self.part] if self.part else []), self.dataset, *chosen])

    @cached_property
    def players(self) -> dict[str, Player]:
        """Who plays which role."""
        return {role: player(self.profile, role, self.cast[self.profile.lead(role)]) for role in self.roles}

    @property
    def models(self) -> dict[str, ModelSpec]:
        return {role: player.model for role, player in self.players.items()}

    @property
    def seeds(self) -> list[int]:
        """Those of the profile; only the first where a network is not trained here, for it has no second replicate.

        None where there is no network at all.
        """
        if not self.roles:
            return []
        fixed = any(spec.is_trained_already for spec in self.models.values())
        return self.profile.seeds[:1] if fixed else self.profile.seeds

    def run(self, role: str, seed: int, fingerprint: str) -> Run:
        playing = self.players[role]
        return Run(
            model=playing.model,
            dataset=self.dataset,
            fingerprint=fingerprint,
            train_images=self.profile.train_images(playing.share, self.dataset, self.available),
            recipe=playing.recipe,
            seed=seed,
            source=source_of(playing.model),
        )

    def request(self, role: str, probe: Wanted) -> ProbeRequest:
        """A probe of the case as it is asked of this role's runs: an epoch is counted in their own recipe."""
        return probe.request(self.profile, self.players[role])

    def requests(self, role: str) -> list[ProbeRequest]:
        """All that is measured of this role's runs."""
        return [self.request(role, probe) for probe in self.probes]

    def runs(self, fingerprint: str) -> Iterator[tuple[Run, list[ProbeRequest]]]:
        """All runs with what is measured of them, seed by seed, so that an early stop leaves whole replicates."""
        for seed in self.seeds:
            for role in self.roles:
                yield self.run(role, seed, fingerprint), self.requests(role)


def expand(
    claim: str, part: str | None, wanted_roles: Sequence[str | Study], probes: Sequence[Wanted | str], profile: Profile
) -> tuple[list[Case], list[str]]:
    """All cases of a test under a profile: data sets × the models of each role; and in words what nobody plays.

    A test without roles is about mathematics: one case, with neither data nor networks.

    Raises:
        HarnessError: an unknown probe.
    """
    if not wanted_roles:
        return [Case(claim, part, NO_DATA, (), {}, {}, profile, ())], []
    try:
        chosen = in_full(probes)
    except HarnessError as error:
        raise HarnessError(f"claim {claim}: {error}") from None
    roles = roles_of(profile, wanted_roles)
    if roles.missing:
        return [], list(roles.missing)
    leads = list(dict.fromkeys(profile.lead(role) for role in roles.names))
    cases = [
        Case(claim, part, dataset, roles.names, roles.points, dict(zip(leads, models, strict=True)), profile, chosen)
        for dataset in profile.datasets
        for models in product(*(profile.roles[role] for role in leads))
    ]
    return cases, []
