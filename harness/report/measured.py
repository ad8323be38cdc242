"""When and how a table was measured, read from its columns."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import pandas as pd

from harness.plan.study import Place, Point
from harness.probes.kinds import PROBES

WORDS: dict[tuple[str, str, object], str] = {
    ("hessian", "augment", False): "clean images",
    ("hessian", "augmentation", "weak"): "under weak augmentation",
    ("hessian", "augmentation", "strong"): "under strong augmentation",
    ("hessian", "convention", "official"): "power iteration",
    ("hessian", "batchnorm", "batch"): "with BatchNorm's statistics of the mini-batch",
    ("landscape", "batchnorm", "fresh"): "with BatchNorm's statistics estimated anew",
}
LARGEST_DENOMINATOR = 1000  # of a share of the epochs


@dataclass(frozen=True)
class Measured:
    """One table's measurement.

    Attributes:
        after: share of the epochs behind the warm-up after which it measured: 0 is the end of the warm-up.
        changes: parameters that tell one protocol from another and are not as the probe has them by default.
    """

    probe: str
    after: Fraction
    changes: tuple[tuple[str, object], ...]

    @property
    def moment(self) -> str:
        if self.after == 1:
            return "at the end of training"
        return f"after {self.after} of training" if self.after else "after warm-up"

    @property
    def manner(self) -> list[str]:
        """The changes, in words."""
        return [WORDS.get((self.probe, *change), f"{change[0]} {change[1]}") for change in self.changes]

    @property
    def like_the_paper(self) -> bool:
        """Whether the same images were measured; by which algorithm eigenvalues are found changes no definition."""
        return all(key == "convention" for key, _ in self.changes)


def measured(table: pd.DataFrame) -> Measured:
    """What the columns of a table say."""
    first = table.iloc[0]
    probe, after = str(first["probe"]), Fraction(float(first["after"])).limit_denominator(LARGEST_DENOMINATOR)
    kind = PROBES.get(probe)
    told = {name: first[name] for name in kind.told if name in first} if kind else {}
    usual = {name: kind.parameters.model_fields[name].default for name in told} if kind else {}
    return Measured(probe, after, tuple((name, plain(value)) for name, value in told.items() if value != usual[name]))


def plain(value: object) -> object:
    """Numpy's truth values print as `np.True_`."""
    return bool(value) if str(value) in ("True", "False") and not isinstance(value, str) else value


def points_of(table: pd.DataFrame) -> dict[str, Point]:
    """Role -> where in which study it stands, of those that are points of one."""
    rows = table.drop_duplicates("role")
    rows = rows[rows["study"] != ""]
    return {
        str(role): Point(of=of, study=study, at=place(at))
        for role, of, study, at in rows[["role", "of", "study", "at"]].itertuples(index=False)
    }


def place(text: str) -> Place:
    """A column holds them all as text."""
    try:
        return float(text)
    except ValueError:
        return text
