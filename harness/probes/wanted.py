"""What a claim's test wants measured: a probe, of which weights, and with which parameters off the profile's."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError, nearest
from harness.probes.request import PROBES, ProbeRequest

if TYPE_CHECKING:
    from harness.profile import Player, Profile


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

    def request(self, profile: Profile, player: Player) -> ProbeRequest:
        """What is to be measured of a run of this player.

        Raises:
            HarnessError: its recipe has no such epoch.
        """
        recipe = player.recipe
        epoch = None if self.after == 1 or player.model.is_trained_already else round(self.after * recipe.epochs)
        if epoch == 0 and not recipe.warmup_epochs:
            raise HarnessError(f"profile {profile.name} has no warm-up, after whose end {self.name} is to be measured")
        of_test = PROBES[self.probe].split == "test"
        return ProbeRequest(
            probe=self.probe,
            parameters=profile.parameters(self.probe, dict(self.changes)),
            test_images=profile.images.test if of_test else None,
            epoch=None if epoch == recipe.epochs else epoch,
        )


def wanted(probe: str, *, after: float | str | Fraction = 1, **changes: Any) -> Wanted:
    """A probe for the `probes` of a claim's test; its bare name does for the finished weights and usual parameters.

    Args:
        after: which share of the epochs behind the warm-up: 0 is the end of the warm-up, "1/3" the paper's epoch 100.
        changes: parameters of the probe.

    Raises:
        HarnessError: no such probe.
    """
    if probe not in PROBES:
        raise HarnessError(f"no probe {probe!r}; {nearest(probe, PROBES)}")
    return Wanted(probe, Fraction(after), tuple(sorted(changes.items())))
