"""Looks: how often a case may be judged while seeds are added, and at which level each time.

Judging the same data again and again at 95 % errs more often than in 5 % of all cases. Repeated confidence intervals
(Jennison & Turnbull 1989) hold together, over all looks: the error that a look may spend grows linearly with the seeds
(Lan & DeMets 1983), so that what was spent depends on how far one has come and never on what one saw. The boundaries
are those of a Wiener process; where few seeds stand behind a look, their normal level is used with Student's t.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

ERROR = 0.05  # two-sided, over all looks together
NODES = 96  # of the quadrature: boundaries are then good to ten digits


@dataclass(frozen=True)
class Look:
    """One judging of a case.

    Attributes:
        seeds: behind it.
        of: seeds behind each look of the plan.
    """

    seeds: int
    of: tuple[int, ...]

    @property
    def number(self) -> int:
        return self.of.index(self.seeds)

    @property
    def level(self) -> float:
        """Of the two-sided intervals of this look."""
        return levels(self.of)[self.number]

    def error(self, tests: int) -> float:
        """One-sided, of each of so many tests that share the error of all looks (Bonferroni).

        Less than the look's own error divided among them: what is rare at one look is rarer still at two, so that rare
        errors of several looks add up.
        """
        return (1 - levels(self.of, ERROR / tests)[self.number]) / 2

    @property
    def next(self) -> Look | None:
        return None if self.is_last else Look(self.of[self.number + 1], self.of)

    @property
    def lacks_a_spread(self) -> bool:
        """Whether it is at a single seed, of a plan whose replicate is the seed."""
        return self.seeds == 1 and not self.is_last

    @property
    def is_last(self) -> bool:
        return self.seeds == self.of[-1]


def sequence(seeds: Sequence[int]) -> list[Look]:
    """The looks of a plan."""
    return [Look(count, tuple(seeds)) for count in seeds]


@cache
def levels(seeds: tuple[int, ...], error: float = ERROR) -> tuple[float, ...]:
    """The level of each look's two-sided interval, so that all of them together have 1 - error.

    Args:
        seeds: behind each look, rising. A single look has 95 %.
        error: over all looks together, two-sided.
    """
    from scipy.special import ndtr  # scipy.stats takes a second to import

    shares = [count / seeds[-1] for count in seeds]
    return tuple(1 - 2 * float(ndtr(-bound)) for bound in boundaries(shares, [error * share for share in shares]))


def boundaries(shares: Sequence[float], spent: Sequence[float]) -> list[float]:
    """Two-sided boundaries of a standard normal statistic that is looked at several times.

    Args:
        shares: of all information, at each look; rising to 1.
        spent: the two-sided error that may be spent until then.

    Returns:
        For each look the number that the statistic's magnitude exceeds, there for the first time, with the probability
        that is spent at this look.
    """
    import numpy as np
    from scipy.optimize import brentq

    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    # The process has gone on where it stayed within the boundaries: its density there, at the nodes of a quadrature.
    places, mass = np.zeros(1), np.ones(1)
    found: list[float] = []
    for share, before, error, used in zip(shares, [0.0, *shares], spent, [0.0, *spent], strict=False):
        step = np.sqrt(share - before)
        edge = float(brentq(excess, 0.0, 20.0, args=(places, mass, step, error - used), xtol=1e-13))
        found.append(edge / float(np.sqrt(share)))
        inside = nodes * edge
        steps = (inside - places[:, None]) / step
        mass = mass @ np.exp(-(steps**2) / 2) / np.sqrt(2 * np.pi) / step * weights * edge
        places = inside
    return found


def excess(edge: float, places: np.ndarray, mass: np.ndarray, step: float, error: float) -> float:
    """By how much the edge is crossed in the next step with a greater probability than this error."""
    from scipy.special import ndtr

    return float(mass @ (ndtr((places - edge) / step) + ndtr((-edge - places) / step))) - error
