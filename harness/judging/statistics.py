"""Intervals. The replicate is the seed; with a single seed it is the sample that the probe kept apart."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.probes.kinds import ProbeKind

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

LEVEL = 0.95
RESAMPLES = 999
SAMPLE, WEIGHT = "sample", "images"


@dataclass(frozen=True)
class Interval:
    """A mean with its two-sided interval, and what was repeated `n` times to get it."""

    value: float
    low: float
    high: float
    n: int
    replicate: str
    level: float = LEVEL


def over_seeds(values: Sequence[float], *, step: float = 0.0, replicate: str = "seed") -> Interval:
    """Student's t interval of the mean over seeds, or over other independent replicates.

    Args:
        values: one number a seed, at least two.
        step: to which the values are known, see `apart`.
    """
    from scipy import stats

    mean = sum(values) / len(values)
    values = apart(values, step)
    if max(values) == min(values):  # scipy has no interval for a spread of 0
        return Interval(mean, mean, mean, len(values), replicate)
    interval = stats.ttest_1samp(values, 0.0).confidence_interval(LEVEL)
    return Interval(mean, float(interval.low), float(interval.high), len(values), replicate)


def difference_over_seeds(one: Sequence[float], other: Sequence[float], *, step: float = 0.0) -> Interval:
    """Welch's t interval of the difference of two means, `one` minus `other`; their seeds are not paired."""
    from scipy import stats

    one, other = apart(one, step), apart(other, step)
    value = sum(one) / len(one) - sum(other) / len(other)
    n = min(len(one), len(other))
    if max(one) == min(one) and max(other) == min(other):
        return Interval(value, value, value, n, "seed")
    with warnings.catch_warnings():
        # One side may have no spread, such as a NEP of 0 for every seed; Welch's formula holds for that.
        warnings.filterwarnings("ignore", message="Precision loss", category=RuntimeWarning)
        interval = stats.ttest_ind(one, other, equal_var=False).confidence_interval(LEVEL)
    return Interval(value, float(interval.low), float(interval.high), n, "seed")


def apart(values: Sequence[float], step: float) -> Sequence[float]:
    """The values; or, where they differ by less than rounding to a step makes them, as many that differ so much.

    A count out of N is known to 1/N. Seeds that happen to agree are then no proof that seeds do not matter: rounding
    alone has the standard deviation step / √12 (Sheppard 1897), and no spread is taken to be smaller.
    """
    import numpy as np

    least = step / math.sqrt(12)
    if np.std(values, ddof=1) >= least:
        return values
    pattern = np.linspace(-1, 1, len(values))
    return list(np.mean(values) + pattern * least / pattern.std(ddof=1))


def over_samples(statistic: Callable[..., float], tables: Sequence[SampleTable], *, step: float = 0.0) -> Interval:
    """Percentile bootstrap over the samples of one seed.

    Args:
        statistic: takes each of `tables` averaged over its samples.
        tables: those of one probe are of the same samples, which are drawn jointly: the same images for both networks.
        step: to which its value is known: the interval reaches to ±1.96 step / √12 at least, see `apart`.
    """
    import numpy as np
    from scipy import stats

    kinds = list(dict.fromkeys((table.kind.name, table.samples) for table in tables))
    everything = tuple(np.arange(samples) for _, samples in kinds)
    replicate, samples = tables[0].kind.sample, min(samples for _, samples in kinds)

    def resampled(*chosen: np.ndarray) -> float:
        drawn = dict(zip(kinds, chosen, strict=True))
        return statistic(*(table.mean(drawn[table.kind.name, table.samples]) for table in tables))

    value = resampled(*everything)
    if samples < 2:
        return Interval(value, -math.inf, math.inf, samples, replicate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)  # no spread is an interval of no width
        found = stats.bootstrap(
            everything,
            resampled,
            vectorized=False,
            n_resamples=RESAMPLES,
            confidence_level=LEVEL,
            method="percentile",
            rng=np.random.default_rng(0),
        ).confidence_interval
    low, high = (value, value) if math.isnan(found.low) else (float(found.low), float(found.high))
    least = float(stats.norm.ppf((1 + LEVEL) / 2)) * step / math.sqrt(12)
    return Interval(value, min(low, value - least), max(high, value + least), samples, replicate)


class SampleTable:
    """A probe's table as an array [sample, row, value], so that its mean over any draw of samples is quick."""

    def __init__(self, table: pd.DataFrame, kind: ProbeKind):
        keys, values = list(kind.keys), list(kind.values)
        table = table.sort_values([SAMPLE, *keys], kind="stable")
        self.kind = kind
        self.samples = table[SAMPLE].nunique()
        self._rows = table[keys].iloc[: len(table) // self.samples].reset_index(drop=True)
        self._weights = table[WEIGHT].to_numpy(float).reshape(self.samples, -1)[:, 0]
        self._array = table[values].to_numpy(float).reshape(self.samples, len(self._rows), len(values))

    @property
    def step(self) -> float:
        """To which a share that is counted in this table is known; 0 where nothing is."""
        if self.kind.counted is None:
            return 0.0
        values = self._rows[list(self.kind.counted)].drop_duplicates()
        return 1 / (self.samples * max(len(values), 1))

    def mean(self, chosen: np.ndarray | None = None) -> pd.DataFrame:
        """The table averaged over samples (all, or a draw with repeats), weighted by the images in each.

        Returns:
            One row for each combination of the probe's keys; its values are the averages.
        """
        import numpy as np

        which = slice(None) if chosen is None else chosen
        mean = np.average(self._array[which], axis=0, weights=self._weights[which])
        return self._rows.assign(**{name: mean[:, i] for i, name in enumerate(self.kind.values)})
