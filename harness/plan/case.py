"""A case: one claim on one data set with its models, over all seeds of the profile. One test item."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

from harness.data.catalogue import dataset_info
from harness.errors import HarnessError
from harness.plan.cast import Player, player, roles_of, untrained
from harness.plan.catalogue import Rule
from harness.plan.profile import Profile
from harness.plan.run import ModelSpec, Run, source_of
from harness.plan.study import Point, Study
from harness.plan.wanted import ProbeRequest, Wanted, in_full, wanted

NO_DATA = "none"  # as the catalogue says it
LEARNED = "prediction"  # the probe that says whether a network has learned
OTHER_SEEDS = 1000  # far from those of any look
LEARNED_IMAGES = 1000  # enough to tell that from chance


@dataclass(frozen=True)
class Case:
    """What a test item needs, known at collection and without torch.

    Attributes:
        roles: in the order in which the test names them.
        points: of those roles that are points of a study.
        cast: role of the profile -> the model that plays it and its variants here.
        probes: what is measured of every run.
        repeats: seeds, of networks that are trained here: those of its first look until `at` says otherwise.
        untrained: whether its networks keep the weights they begin with.
        others: whether they are of other seeds than those of a case usually are: the control of what is untrained
            itself.
        glance: whether a part of the samples is enough: what is measured is shown, and has no part in a verdict.
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
    repeats: int
    untrained: bool = False
    others: bool = False
    glance: bool = False
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
        players = {role: player(self.profile, role, self.cast[self.profile.lead(role)]) for role in self.roles}
        if not self.untrained:
            return players
        return {
            role: replace(each, model=each.model.with_random_weights, recipe=untrained(each.recipe))
            for role, each in players.items()
        }

    @property
    def models(self) -> dict[str, ModelSpec]:
        return {role: player.model for role, player in self.players.items()}

    @property
    def looks(self) -> tuple[int, ...]:
        """Seeds behind each look that the profile plans; a network that is not trained here has no second replicate."""
        fixed = any(spec.is_trained_already for spec in self.cast.values())
        return (1,) if fixed else self.profile.planned_looks

    @property
    def seeds(self) -> list[int]:
        """None where there is no network at all."""
        first = OTHER_SEEDS if self.others else 0
        return list(range(first, first + min(self.repeats, self.looks[-1]))) if self.roles else []

    def at(self, seeds: int) -> Case:
        """The same case with so many seeds."""
        return replace(self, repeats=seeds)

    @property
    def control(self) -> Case:
        """The same case on untrained networks: of the same seeds, or of others if it is untrained itself."""
        return replace(self, untrained=True, others=self.untrained)

    def control_for(self, rule: Rule) -> Case:
        """The control that this rule of the case's claim needs: all of it only where its networks are compared with."""
        return replace(self.control, glance=not rule.compares)

    @cached_property
    def all_probes(self) -> tuple[Wanted, ...]:
        """What its test asks for, and, wherever it looks at a network, whether that one has learned."""
        if self.untrained or not self.roles:
            return self.probes
        there = {probe.after for probe in self.probes if probe.probe == LEARNED}
        changes = {"images": LEARNED_IMAGES} if self._test_images > LEARNED_IMAGES else {}
        moments = dict.fromkeys(probe.after for probe in self.probes if probe.after not in there)
        return (*self.probes, *(wanted(LEARNED, after=after, brief=True, **changes) for after in moments))

    @property
    def _test_images(self) -> int:
        return self.profile.images.test or dataset_info(self.dataset).test_images

    def _train_images(self, role: str) -> int | None:
        """None for all."""
        return self.profile.train_images(self.players[role].share, self.dataset, self.available)

    def run(self, role: str, seed: int, fingerprint: str) -> Run:
        playing = self.players[role]
        return Run(
            model=playing.model,
            dataset=self.dataset,
            fingerprint=fingerprint,
            train_images=self._train_images(role),
            recipe=playing.recipe,
            seed=seed,
            source=source_of(playing.model),
        )

    def request(self, role: str, probe: Wanted, seed: int) -> ProbeRequest:
        """A probe of the case as it is asked of this role's runs: an epoch is counted in their own recipe."""
        request = probe.request(self.profile, self.players[role], seed)
        return request.at_a_glance(self.dataset, self._train_images(role)) if self.glance else request

    def requests(self, role: str, seed: int) -> list[ProbeRequest]:
        """All that is measured of this role's run with that seed."""
        return [self.request(role, probe, seed) for probe in self.all_probes]

    def runs(self, fingerprint: str) -> Iterator[tuple[Run, list[ProbeRequest]]]:
        """All runs with what is measured of them, seed by seed, so that an early stop leaves whole replicates."""
        for seed in self.seeds:
            for role in self.roles:
                yield self.run(role, seed, fingerprint), self.requests(role, seed)


def expand(
    claim: str, part: str | None, wanted_roles: Sequence[str | Study], probes: Sequence[Wanted | str], profile: Profile
) -> tuple[list[Case], list[str]]:
    """All cases of a test under a profile: data sets × the models of each role; and in words what it lacks for any.

    A test without roles is about mathematics: one case, with neither data nor networks.

    Raises:
        HarnessError: an unknown probe.
    """
    if not wanted_roles:
        return [Case(claim, part, NO_DATA, (), {}, {}, profile, (), 0)], []
    try:
        chosen = in_full(probes)
    except HarnessError as error:
        raise HarnessError(f"claim {claim}: {error}") from None
    if not profile.judges(claim, part):
        return [], [f"claim {' '.join(filter(None, (claim, part)))} among those that it judges"]
    roles = roles_of(profile, wanted_roles)
    if roles.missing:
        return [], list(roles.missing)
    leads = list(dict.fromkeys(profile.lead(role) for role in roles.names))
    cases = [
        Case(claim, part, dataset, roles.names, roles.points, dict(zip(leads, models, strict=True)), profile, chosen, 0)
        for dataset in profile.datasets
        for models in product(*(profile.roles[role] for role in leads))
    ]
    return [case.at(case.looks[0]) for case in cases], []
