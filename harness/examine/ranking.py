"""What a network is in one number a probe, and in which order networks stand by it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from harness import readings
from harness.judging.statistics import GROUPS, SampleTable, jackknife
from harness.probes.kinds import PROBES

if TYPE_CHECKING:
    import pandas as pd

Z95 = 1.959963984540054  # of a normal distribution, two-sided


@dataclass(frozen=True)
class Quantity:
    """A number of a network.

    Attributes:
        words: what it is.
        first: what stands first: "smallest" or "largest", and what that means.
        of: takes the probe's table, averaged over its samples; nan where the network has no such thing.
    """

    probe: str
    words: str
    unit: str
    first: str
    meaning: str
    of: Callable[[pd.DataFrame], float]
    places: int = 2


@dataclass(frozen=True)
class Place:
    """A network's number, and how far the choice of images may move it (half a 95 % interval; nan if unknown)."""

    name: str
    value: float
    error: float


@dataclass(frozen=True)
class Ranking:
    """All networks by one quantity, first to last; those that have no such number are not in it."""

    quantity: Quantity
    places: list[Place]


def ranked(tables: dict[str, pd.DataFrame]) -> list[Ranking]:
    """Every quantity of the probes that were taken.

    Args:
        tables: probe -> its table of all networks, with a column role.
    """
    return [
        ranking
        for quantity in QUANTITIES
        if quantity.probe in tables and (ranking := by(quantity, tables[quantity.probe])).places
    ]


def by(quantity: Quantity, table: pd.DataFrame) -> Ranking:
    import math

    found = [place(quantity, str(name), mine) for name, mine in table.groupby("role", sort=False)]
    there = [each for each in found if math.isfinite(each.value)]
    there.sort(key=lambda each: each.value, reverse=quantity.first == "largest")
    return Ranking(quantity, there)


def place(quantity: Quantity, name: str, table: pd.DataFrame) -> Place:
    samples = SampleTable(table, PROBES[quantity.probe])
    variance = jackknife(quantity.of, [samples], GROUPS)
    return Place(name, quantity.of(samples.mean()), Z95 * max(variance, 0.0) ** 0.5)


# Of each unit, in order


def last_amplitude(table: pd.DataFrame) -> float:
    """Log amplitude of the highest frequency after the last unit, less that of frequency zero (Fig 8)."""
    return float(highest(table)["delta_log_amplitude"].iloc[-1])


def amplitude_step(kind: str, table: pd.DataFrame) -> float:
    """By how much units of a kind change it, on average."""
    return mean_step(highest(table), "delta_log_amplitude", kind)


def highest(table: pd.DataFrame) -> pd.DataFrame:
    units = table.sort_values(["unit", "label"]).groupby("unit", as_index=False).last()
    return units.sort_values("unit")


def variance_step(kind: str, table: pd.DataFrame) -> float:
    """By which factor units of a kind change the variance of the feature map, on average, as a log ratio (Fig 9)."""
    import numpy as np

    units = table.sort_values("unit")
    return mean_step(units.assign(log=np.log(units["variance"])), "log", kind)


def mean_step(units: pd.DataFrame, column: str, kind: str) -> float:
    """Nan where no unit of the kind has one before it."""
    return float(units[column].diff()[units["kind"] == kind].mean())


def mean_similarity(table: pd.DataFrame) -> float:
    """Mean CKA of all pairs of different units."""
    import numpy as np

    matrix = readings.cka(table).to_numpy()
    return float(matrix[~np.eye(len(matrix), dtype=bool)].mean())


def lesion_cost(table: pd.DataFrame) -> float:
    return -float(table["delta_accuracy"].mean())


def noise_cost(half: str, table: pd.DataFrame) -> float:
    """Lost to noise of the lower or the higher half of frequencies, all amplitudes alike."""
    middle = table["frequency"].median()
    mine = table["frequency"] < middle if half == "lower" else table["frequency"] > middle
    return -float(table.loc[mine, "delta_accuracy"].mean())


def rise(table: pd.DataFrame) -> float:
    """Of the loss at half of the length of the weights, or the ring next to it."""
    found = readings.rings(table)["nll"]
    return float(found.iloc[abs(found.index - 0.5).argmin()])


def percent(column: str) -> Callable[[pd.DataFrame], float]:
    return lambda table: 100 * float(table[column].mean())


def steps(probe: str, words: str, unit: str, of: Callable[[str, pd.DataFrame], float]) -> Iterator[Quantity]:
    for kind, name in (("msa", "MSAs"), ("conv", "Convs"), ("mlp", "MLPs")):
        meaning = f"{name} that take most away" if probe == "fourier" else f"{name} that smooth most"
        yield Quantity(probe, f"{words} of {name}", unit, "smallest", meaning, partial(of, kind))


def all_quantities() -> Iterable[Quantity]:
    amplitude = "Δ log amplitude at 1.0π"
    yield Quantity("prediction", "accuracy", " %", "largest", "most often right", percent("correct"), 1)
    yield Quantity("prediction", "NLL", " nats", "smallest", "best", lambda table: float(table["nll"].mean()))
    yield Quantity("corruption", "accuracy on corrupted images", " %", "largest", "most robust", percent("correct"), 1)
    yield Quantity("fourier", f"{amplitude} after the last unit", " nats", "smallest", "most low-pass", last_amplitude)
    yield from steps("fourier", f"{amplitude}, mean step", " nats", amplitude_step)
    yield from steps("variance", "log variance of the feature map, mean step", "", variance_step)
    words = "lost to noise of the {} frequencies, mean"
    yield Quantity("noise", words.format("lower"), " pp", "smallest", "most robust", partial(noise_cost, "lower"), 1)
    yield Quantity("noise", words.format("higher"), " pp", "smallest", "most robust", partial(noise_cost, "higher"), 1)
    yield Quantity("lesion", "lost with a unit, mean", " pp", "smallest", "units that matter least", lesion_cost, 1)
    yield Quantity("similarity", "CKA of two units, mean", "", "largest", "most uniform", mean_similarity)
    yield Quantity(
        "hessian", "NEP", " %", "smallest", "most convex", lambda table: 100 * readings.nep(table, l2=False), 1
    )
    yield Quantity("hessian", "APE", "", "smallest", "flattest", lambda table: readings.ape(table, l2=False))
    yield Quantity("landscape", "rise of NLL at half the length of the weights", " nats", "smallest", "flattest", rise)


QUANTITIES = tuple(all_quantities())
