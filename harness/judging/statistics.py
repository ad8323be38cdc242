"""From replicates to an estimate: what an effect is, and how far it may be off.

The replicate is the seed: it draws its own weights, mini-batches, planes and noise, so that the spread over seeds holds
all of the error. A network that is not trained here has a single replicate, and its error is that of its samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.probes.kinds import ProbeKind

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

SAMPLE, WEIGHT, SAMPLES = "sample", "images", "samples"
GROUPS = 8  # of samples, left out in turn: several seeds, whose errors are averaged
GROUPS_ALONE = 32  # the same of a single replicate, whose whole error they are
LEAST_SAMPLES = 16  # of a single replicate: an interval from fewer holds far less often than it says
# Where seeds may be skewed, what errs with probability p by Student's t errs with p^SKEWED at most: the rarer, the more
# often beside it (three to thirteen seeds of skewness 1, by simulation).
SKEWED = 0.75


@dataclass(frozen=True)
class Error:
    """A standard error, and the degrees of freedom that it was estimated with; infinite: it is known."""

    size: float
    freedom: float


@dataclass(frozen=True)
class Estimate:
    """A mean over replicates.

    Attributes:
        error: by what it may be off.
        least: half an interval of whatever level is no narrower: the standard error by the choice of samples, which
            no agreement of a few seeds removes, or what rounding hides.
        n: replicates.
        replicate: what was repeated: "seed", or the sample of a probe.
        spread: standard deviation of one more replicate, with its degrees of freedom; None for a single one.
        between: share of that variance that is between seeds and not within them; None where that is unknown.
        skewed: whether seeds may be. The numbers of one network may, which a t interval of a few seeds does not bear;
            in the difference of two that are alike it cancels.
        by_seed: the number of each seed, in their order; empty for what has no seeds.
    """

    value: float
    error: Error
    n: int
    replicate: str
    least: float = 0.0
    spread: Error | None = None
    between: float | None = None
    skewed: bool = False
    by_seed: tuple[float, ...] = ()

    def cautious(self, level: float) -> float:
        """The level that its interval has by Student's t where this one is asked for."""
        return 1 - 2 * ((1 - level) / 2) ** (1 / SKEWED) if self.skewed else level

    def interval(self, level: float) -> tuple[float, float]:
        """Two-sided, by Student's t."""
        half = max(student((1 + self.cautious(level)) / 2, self.error.freedom) * self.error.size, self.least)
        return self.value - half, self.value + half

    def chance(self, bound: float, *, above: bool) -> float:
        """One-sided p-value: of such a mean or one farther above (or below) the bound, if the truth is not beyond."""
        distance = self.value - bound if above else bound - self.value
        p = tail(distance, self.error) ** (SKEWED if self.skewed else 1)
        return p if distance > self.least else max(p, 0.5)

    def predicted(self, level: float = 0.95) -> tuple[float, float] | None:
        """Interval for one more run; None for a single replicate."""
        if self.spread is None:
            return None
        scale = math.hypot(self.spread.size, max(self.error.size, self.least))
        half = student((1 + level) / 2, self.spread.freedom) * scale
        return self.value - half, self.value + half


def student(probability: float, freedom: float) -> float:
    """Quantile of Student's t, or of the normal distribution where the degrees of freedom are infinite."""
    from scipy.special import ndtri, stdtrit

    return float(ndtri(probability) if math.isinf(freedom) else stdtrit(freedom, probability))


def tail(distance: float, error: Error) -> float:
    """P(T > distance / error)."""
    from scipy.special import ndtr, stdtr

    if math.isnan(distance) or math.isnan(error.size) or math.isinf(error.size):
        return 1.0
    if error.size == 0:
        return 0.0 if distance > 0 else 1.0
    ratio = distance / error.size
    return float(ndtr(-ratio) if math.isinf(error.freedom) else stdtr(error.freedom, -ratio))


@dataclass(frozen=True)
class Replicate:
    """What one seed says of an effect.

    Attributes:
        one: the statistic.
        other: that of the network it is compared with; None for an effect of one number.
        variance: of the effect by the choice of samples, within this seed.
        step: to which the numbers are known where they are counted shares, else 0.
        samples: that this seed has of the probe.
        sample: what one of them is.
    """

    one: float
    other: float | None
    variance: float
    step: float
    samples: int
    sample: str

    @property
    def value(self) -> float:
        return self.one - (self.other or 0.0)


def estimate(replicates: Sequence[Replicate], *, paired: bool) -> Estimate:
    """The mean effect over seeds, or of a single one.

    Args:
        paired: whether two networks of a seed have more in common than two of different seeds, as variants of one
            network do; else their means are compared by Welch's t.
    """
    if len(replicates) == 1:
        return alone(replicates[0])
    values = [each.value for each in replicates]
    n, mean = len(values), sum(values) / len(values)
    others = [each.other for each in replicates if each.other is not None]
    step = max(each.step for each in replicates)
    if others and not paired:
        ones = deviation([each.one for each in replicates], step)
        spread = of_difference(Error(ones, n - 1), Error(deviation(others, step), n - 1))
    else:
        spread = Error(deviation(values, step * math.sqrt(2) if others else step), n - 1)
    within = sum(each.variance for each in replicates) / n
    known = not math.isnan(within)
    ratio = math.sqrt(within) / spread.size if spread.size and known else math.nan  # a tiny spread has no square
    between = None if math.isnan(ratio) else max(0.0, 1 - ratio * ratio)
    error = Error(spread.size / math.sqrt(n), spread.freedom)
    least = math.sqrt(within / n) if known else 0.0
    return Estimate(mean, error, n, "seed", least, spread, between, not others, tuple(values))


def alone(only: Replicate) -> Estimate:
    """The effect in a network that has no second replicate: with the error of its samples, where there are enough."""
    groups = min(only.samples, GROUPS_ALONE)
    enough = only.samples >= LEAST_SAMPLES and not math.isnan(only.variance)
    error = Error(math.sqrt(only.variance), groups - 1) if enough else Error(math.inf, 1)
    rounding = student(0.975, math.inf) * only.step / math.sqrt(12)
    return Estimate(only.value, error, only.samples, only.sample, rounding, by_seed=(only.value,))


def over_draws(values: Sequence[float], replicate: str) -> Estimate:
    """The mean of a number over independent draws, at least two."""
    n = len(values)
    spread = Error(deviation(values, 0.0), n - 1)
    return Estimate(sum(values) / n, Error(spread.size / math.sqrt(n), n - 1), n, replicate, spread=spread)


def deviation(values: Sequence[float], step: float) -> float:
    """Standard deviation of one value; no smaller than rounding to the step makes it.

    A count out of N is known to 1/N. Seeds that happen to agree are then no proof that seeds do not matter: rounding
    alone has the standard deviation step / √12 (Sheppard 1897).
    """
    n, mean = len(values), sum(values) / len(values)
    return max(math.dist(values, [mean] * n) / math.sqrt(n - 1), step / math.sqrt(12))


def of_difference(one: Error, other: Error) -> Error:
    """Error of the difference of two independent numbers, with Welch's degrees of freedom (Satterthwaite 1946)."""
    squares = one.size**4 / one.freedom + other.size**4 / other.freedom
    freedom = (one.size**2 + other.size**2) ** 2 / squares if squares else min(one.freedom, other.freedom)
    return Error(math.hypot(one.size, other.size), freedom)


class SampleTable:
    """A probe's table as an array [sample, row, value], so that its mean over any of the samples is quick.

    A value that the probe did not give, in brief or in an earlier version, is nan.
    """

    def __init__(self, table: pd.DataFrame, kind: ProbeKind):
        keys, values = list(kind.keys), list(kind.values)
        table = table.sort_values([SAMPLE, *keys], kind="stable")
        self.kind = kind
        self.samples = table[SAMPLE].nunique()
        rows = table[keys].iloc[: len(table) // self.samples]
        self._rows = {key: rows[key].to_numpy() for key in keys}
        self._weights = table[WEIGHT].to_numpy(float).reshape(self.samples, -1)[:, 0]
        self._array = table.reindex(columns=values).to_numpy(float).reshape(self.samples, len(rows), len(values))

    @property
    def step(self) -> float:
        """To which a share that is counted in this table is known; 0 where nothing is."""
        if self.kind.counted is None:
            return 0.0
        different = set(zip(*(self._rows[key] for key in self.kind.counted), strict=True))
        return 1 / (self.samples * max(len(different), 1))

    def mean(self, chosen: np.ndarray | None = None) -> pd.DataFrame:
        """The table averaged over samples (all, or those chosen), weighted by the images in each.

        Returns:
            One row for each combination of the probe's keys; its values are the averages, over so many `samples`.
        """
        import numpy as np
        import pandas as pd

        which = slice(None) if chosen is None else chosen
        mean = np.average(self._array[which], axis=0, weights=self._weights[which])
        values = {name: mean[:, i] for i, name in enumerate(self.kind.values)}
        return pd.DataFrame(self._rows | values | {SAMPLES: len(self._weights[which])})


def jackknife(statistic: Callable[..., float], tables: Sequence[SampleTable], groups: int) -> float:
    """Variance of a statistic by the choice of samples: groups of them are left out in turn (Tukey 1958).

    Args:
        statistic: takes each of `tables` averaged over its samples.
        tables: those of one probe are of the same samples, which are left out jointly: the same images for both
            networks. Different probes are independent.
    """
    means = [table.mean() for table in tables]
    total = 0.0
    for kind in dict.fromkeys((table.kind.name, table.samples) for table in tables):
        found = list(_left_out(statistic, tables, means, kind, min(groups, kind[1])))
        if len(found) < 2:
            return math.nan
        mean = sum(found) / len(found)
        total += (len(found) - 1) / len(found) * sum((value - mean) ** 2 for value in found)
    return total


def _left_out(
    statistic: Callable[..., float],
    tables: Sequence[SampleTable],
    means: Sequence[pd.DataFrame],
    kind: tuple[str, int],
    groups: int,
) -> Iterator[float]:
    """The statistic without each group of the samples of one probe."""
    import numpy as np

    mine = [(table.kind.name, table.samples) == kind for table in tables]
    for group in range(groups if groups > 1 else 0):
        chosen = np.arange(kind[1]) % groups != group
        yield statistic(
            *(table.mean(chosen) if own else mean for table, mean, own in zip(tables, means, mine, strict=True))
        )
