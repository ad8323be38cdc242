"""What a claim's test wants measured: a probe, of which weights, and with which parameters off the profile's."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, SerializeAsAny

from harness.data.catalogue import dataset_info
from harness.errors import HarnessError, nearest
from harness.probes.common.declaration import DRAWS
from harness.probes.kinds import PROBES, Parameters
from harness.store.identity import short_digest

if TYPE_CHECKING:
    from harness.plan.cast import Player
    from harness.plan.profile import Profile


GLANCE = 4  # one of so many samples is enough to see what is only shown


class ProbeRequest(BaseModel):
    """One probe with its parameters.

    Attributes:
        test_images: the test split is cut to so many; None for all, and for probes of the training split.
        epoch: behind the warm-up (0: its end), whose weights are measured; None for the finished ones.
        held_out: instead of test images, so many training images that the run did not learn from; None: test images.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    probe: str
    parameters: SerializeAsAny[Parameters]
    test_images: int | None
    epoch: int | None = None
    held_out: int | None = None

    @classmethod
    def model_validate_plain(cls, plain: dict[str, Any]) -> ProbeRequest:
        """Rebuild a request from its JSON, whose parameters are those of the probe it names."""
        parameters = PROBES[plain["probe"]].parameters.model_validate(plain["parameters"])
        return cls.model_validate({**plain, "parameters": parameters})

    def images(self, dataset: str, train_images: int | None) -> int:
        """How many it looks at, of a network that learns from so many; None for all."""
        info = dataset_info(dataset)
        of_test = self.held_out or self.test_images or info.test_images
        there = of_test if PROBES[self.probe].split == "test" else train_images or info.train_images
        return getattr(self.parameters, "images", None) or there

    def at_a_glance(self, dataset: str, train_images: int | None) -> ProbeRequest:
        """The same on a part of the images, to show something: in whole mini-batches where these are its samples."""
        kind, images = PROBES[self.probe], self.images(dataset, train_images)
        if kind.clocked:  # a smaller batch has another speed
            return self
        batch = min(getattr(self.parameters, "batch_size", 1), images) if kind.sample == "mini-batch" else 1
        few = batch * math.ceil(images / (GLANCE * batch))
        return self.model_copy(update={"parameters": self.parameters.model_copy(update={"images": few})})

    def key(self, run_id: str) -> str:
        """Where the table of this measurement of that run is kept."""
        plain = self.model_dump(mode="json")
        for name in self.parameters.later:
            if getattr(self.parameters, name) == type(self.parameters).model_fields[name].default:
                del plain["parameters"][name]
        if self.held_out is None:  # came when tables were stored already
            del plain["held_out"]
        identity = {"version": PROBES[self.probe].version, **plain}
        return f"probes/{run_id}/{self.probe}-{short_digest(identity)}"


AUGMENTATION = "augmentation"  # a study of training, and what is measured on training images can have any of its places


@dataclass(frozen=True)
class Wanted:
    """One probe of a case.

    Attributes:
        after: the share of the epochs behind the warm-up after which it measures; 0 is the end of the warm-up.
        changes: parameters that are not to be as the profile has them.
    """

    probe: str
    after: Fraction
    changes: tuple[tuple[str, Any], ...]

    @property
    def name(self) -> str:
        """Of the table in the evidence: `hessian`, `hessian-after-1-3`, `hessian-warmup-augment-False`."""
        parts = [self.probe]
        if self.after != 1:
            parts.append(f"after-{self.after}".replace("/", "-") if self.after else "warmup")
        parts += [f"{key}-{value}" for key, value in self.changes]
        return "-".join(parts)

    def request(self, profile: Profile, player: Player, seed: int) -> ProbeRequest:
        """What is to be measured of a run of this player with this seed, which also has its own draw of what is drawn.

        Raises:
            HarnessError: its recipe has no such epoch.
        """
        recipe = player.recipe
        finished = self.after == 1 or not recipe.total_epochs
        epoch = None if finished else round(self.after * recipe.epochs)
        if epoch == 0 and not recipe.warmup_epochs:
            raise HarnessError(f"profile {profile.name} has no warm-up, after whose end {self.name} is to be measured")
        of_test = PROBES[self.probe].split == "test"
        changes = dict(self.changes)
        if (place := changes.pop(AUGMENTATION, None)) is not None:
            changes |= _other_augmentation(profile, player, place)
        parameters = profile.parameters(self.probe, changes)
        own = {name: seed for name in DRAWS if name in type(parameters).model_fields}
        own = {name: seed for name in own if name not in parameters.model_fields_set}
        return ProbeRequest(
            probe=self.probe,
            parameters=parameters.model_copy(update=own),
            test_images=profile.images.test if of_test else None,
            epoch=None if epoch == recipe.epochs else epoch,
        )


def _other_augmentation(profile: Profile, player: Player, place: Any) -> dict[str, Any]:
    """The augmentation at this place of the study of augmentations, as a parameter; none where it is the player's own,
    so that one table serves both.

    Raises:
        HarnessError: the profile has no such variant.
    """
    variants = {variant.at: variant for variant in profile.variants.values() if variant.study == AUGMENTATION}
    if place not in variants:
        raise HarnessError(
            f"profile {profile.name} has no variant of the study {AUGMENTATION} at {place!r}; it has {list(variants)}"
        )
    other = profile.recipe_of(variants[place]).augmentation
    return {} if other == player.recipe.augmentation else {AUGMENTATION: other}


def wanted(probe: str, *, after: float | str | Fraction = 1, **changes: Any) -> Wanted:
    """A probe for the `probes` of a claim's test; its bare name does for the finished weights and usual parameters.

    Args:
        after: which share of the epochs behind the warm-up: 0 is the end of the warm-up, "1/3" the paper's epoch 100.
        changes: parameters of the probe; `augmentation` as a place of the study of that name, e.g. "strong".

    Raises:
        HarnessError: no such probe.
    """
    if probe not in PROBES:
        raise HarnessError(f"no probe {probe!r}; {nearest(probe, PROBES)}")
    return Wanted(probe, Fraction(after), tuple(sorted(changes.items())))


def in_full(probes: Iterable[Wanted | str]) -> tuple[Wanted, ...]:
    """The probes of a test, of which a bare name does for the finished weights and usual parameters.

    Raises:
        HarnessError: no such probe.
    """
    return tuple(wanted(probe) if isinstance(probe, str) else probe for probe in probes)
