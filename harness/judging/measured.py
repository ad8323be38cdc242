"""The tables of a case, from the store that measured them or from the results folder that keeps a copy.

A table says in columns what it holds, whatever its file is called: whose network (`role`, `model`, `seed`), which point
of a study (`of`, `study`, `at`), what was measured (`probe`), of which weights (`after`: the share of the epochs behind
the warm-up; `untrained`: none of these, but random ones), the parameters that tell one protocol from another
(`ProbeKind.told`), and by which key a store knows it (`measurement`), so that a folder can be gone on with elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from harness.errors import HarnessError, nearest
from harness.judging.evidence import Evidence
from harness.plan.case import LEARNED, Case
from harness.plan.study import Point
from harness.plan.wanted import Wanted, wanted
from harness.probes.kinds import PROBES
from harness.store import Store
from harness.store.files import write_atomically
from harness.store.tables import TABLE, read_parquet, to_parquet

if TYPE_CHECKING:
    import pandas as pd

NETWORK = ("role", "model", "seed")
POINT = ("of", "study", "at")
MEASURED = ("probe", "after")
UNTRAINED = "untrained"  # a column only where the weights are random
MEASUREMENT = "measurement"  # the key of the table in a store; tables of before had none


class Measured(Protocol):
    """Where a test finds what was measured.

    Attributes:
        roles: in the order in which the test names them.
        points: of those that are points of a study.
        dataset: on which.
        accuracies: probes that say whether the networks have learned.
        floors: role -> least test accuracy of a network that has.
    """

    @property
    def dataset(self) -> str: ...

    @property
    def accuracies(self) -> Sequence[Wanted]: ...

    @property
    def floors(self) -> Mapping[str, float]: ...

    @property
    def roles(self) -> tuple[str, ...]: ...

    @property
    def points(self) -> Mapping[str, Point]: ...

    @property
    def seeds(self) -> Sequence[int]: ...

    def read(self, role: str, probe: Wanted, seed: int) -> pd.DataFrame:
        """The probe's table of one network.

        Raises:
            HarnessError: there is none.
        """


@dataclass(frozen=True)
class FromStore:
    """Tables as the probes left them."""

    case: Case
    fingerprint: str
    store: Store
    _read: dict[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def dataset(self) -> str:
        return self.case.dataset

    @property
    def accuracies(self) -> list[Wanted]:
        return [] if self.case.untrained else [probe for probe in self.case.all_probes if probe.probe == LEARNED]

    @property
    def floors(self) -> Mapping[str, float]:
        return self.case.profile.floors

    @property
    def roles(self) -> tuple[str, ...]:
        return self.case.roles

    @property
    def points(self) -> Mapping[str, Point]:
        return self.case.points

    @property
    def seeds(self) -> Sequence[int]:
        return self.case.seeds

    def read(self, role: str, probe: Wanted, seed: int) -> pd.DataFrame:
        run = self.case.run(role, seed, self.fingerprint)
        request = self.case.request(role, probe, seed)
        key = request.key(run.run_id)
        if key not in self._read:
            artifact = self.store.read(key)
            if artifact is None:
                raise HarnessError(
                    f"no {request.probe} table of {run} in {self.store.root}; run the same command again"
                )
            self._read[key] = read_parquet(artifact.path / TABLE)
        return self._read[key]

    def complete(self) -> bool:
        """Whether all tables are there, and undamaged."""
        runs = self.case.runs(self.fingerprint)
        return all(self.store.read(request.key(run.run_id)) for run, requests in runs for request in requests)

    def copy_to(self, results: Path, probes: Sequence[Wanted]) -> list[str]:
        """Write one table a probe, for all networks and seeds of the case: the results folder stands alone.

        Returns:
            Their paths, relative to the folder.
        """
        import pandas as pd

        paths = []
        for probe in probes:
            parts = [
                self.read(role, probe, seed).assign(**self._about(role, probe, seed))
                for role in self.roles
                for seed in self.seeds
            ]
            table = pd.concat(parts, ignore_index=True)
            first = [*NETWORK, *POINT, *MEASURED, *PROBES[probe.probe].told]
            table = table[first + [name for name in table.columns if name not in first]]
            name = f"untrained-{probe.name}" if self.case.untrained else probe.name
            relative = Path("tables") / self.case.claim / self.case.name / f"{name}.parquet"
            write_atomically(results / relative, to_parquet(table))
            paths.append(relative.as_posix())
        return paths

    def _about(self, role: str, probe: Wanted, seed: int) -> dict[str, Any]:
        request = self.case.request(role, probe, seed)
        asked = dict(probe.changes)  # an augmentation is asked for by its name
        told = {name: asked.get(name, getattr(request.parameters, name)) for name in PROBES[probe.probe].told}
        network = {"role": role, "model": str(self.case.players[role]), "seed": seed}
        weights = {UNTRAINED: True} if self.case.untrained else {}
        about = {"probe": probe.probe, "after": float(probe.after)} | weights
        key = {MEASUREMENT: request.key(self.case.run(role, seed, self.fingerprint).run_id)}
        return network | in_columns(self.points.get(role)) | about | told | key


def in_columns(point: Point | None) -> dict[str, str]:
    """A point of a study as a table holds it: all text, empty for a role that stands for itself."""
    if point is None:
        return dict.fromkeys(POINT, "")
    return {"of": point.of, "study": point.study, "at": str(point.at)}


@dataclass(frozen=True)
class FromResults:
    """The copies in a results folder, found by what their columns say.

    Attributes:
        tables: of the case, all that its evidence names.
        count: seeds, the first so many; None for all.
        untrained: whether of the networks with random weights.
    """

    evidence: Evidence
    tables: Sequence[pd.DataFrame]
    count: int | None = None
    untrained: bool = False

    @property
    def dataset(self) -> str:
        return self.evidence.case.dataset

    @cached_property
    def mine(self) -> list[pd.DataFrame]:
        return [table for table in self.tables if of_random_weights(table) == self.untrained]

    @property
    def accuracies(self) -> list[Wanted]:
        if self.untrained or self.evidence.look is None:  # it was not asked for before there were looks
            return []
        found = [table.iloc[0]["after"] for table in self.mine if table.iloc[0]["probe"] == LEARNED]
        return [wanted(LEARNED, after=Fraction(after).limit_denominator(100)) for after in found]

    @property
    def floors(self) -> Mapping[str, float]:
        return self.evidence.case.floors

    @property
    def roles(self) -> tuple[str, ...]:
        return tuple(self.evidence.case.models)

    @property
    def points(self) -> Mapping[str, Point]:
        return self.evidence.case.studies

    @property
    def seeds(self) -> Sequence[int]:
        return self.evidence.case.seeds[: self.count]

    def read(self, role: str, probe: Wanted, seed: int) -> pd.DataFrame:
        table = self._table(probe)
        mine = table[(table["role"] == role) & (table["seed"] == seed)]
        if mine.empty:
            raise HarnessError(f"the table of {probe.name} has no rows of {role}, seed {seed}")
        return bare(mine)

    def _table(self, probe: Wanted) -> pd.DataFrame:
        """The one that was asked for with this probe; of several, the one that is otherwise most as probes are."""
        found = [table for table in self.mine if holds(table, probe)]
        if not found:
            there = ", ".join(self.evidence.tables) or "no tables at all"
            raise HarnessError(f"no table of {probe.name} among {there}")
        return max(found, key=lambda table: usual(table, probe))


def tables_of(results: Path, evidence: Evidence) -> list[pd.DataFrame]:
    """All tables that a piece of evidence names.

    Raises:
        HarnessError: one cannot be read.
    """
    return [table_of(results / path) for path in (*evidence.tables, *evidence.support)]


def bare(table: pd.DataFrame) -> pd.DataFrame:
    """A table of a results folder, or rows of it, as its probe left it: without the columns that say what it is."""
    about = [*NETWORK, *POINT, *MEASURED, UNTRAINED, *PROBES[table["probe"].iloc[0]].told, MEASUREMENT]
    return table.drop(columns=[column for column in about if column in table]).reset_index(drop=True)


def of_random_weights(table: pd.DataFrame) -> bool:
    return UNTRAINED in table and bool(table[UNTRAINED].iloc[0])


def table_of(path: Path) -> pd.DataFrame:
    """A table of a results folder.

    Raises:
        HarnessError: it is missing, damaged, or of an earlier version, whose tables did not say what they hold.
    """
    try:
        table = read_parquet(path)
    except Exception as error:  # a damaged file can fail anywhere in the decoder, with any exception
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise HarnessError(f"cannot read {path}: {cause}; judge the claim again from its store") from error
    absent = [column for column in (*NETWORK, *POINT, *MEASURED) if column not in table]
    if absent:
        known = ", ".join(map(str, table.columns))
        raise HarnessError(
            f"{path} has no column {', '.join(absent)} (it has {known}); it is of an earlier version: "
            "judge the claim again from its store"
        )
    return table


def holds(table: pd.DataFrame, probe: Wanted) -> bool:
    """Whether a table is what this probe was asked for."""
    first = table.iloc[0]
    if first["probe"] != probe.probe or not math.isclose(first["after"], float(probe.after)):
        return False
    told = PROBES[probe.probe].told
    return all(parameter(table, probe, name) == value for name, value in probe.changes if name in told)


def usual(table: pd.DataFrame, probe: Wanted) -> int:
    """How many of the parameters that a table tells, and the probe does not change, are at their default."""
    kind = PROBES[probe.probe]
    names = [name for name in kind.told if name not in dict(probe.changes)]
    return sum(parameter(table, probe, name) == kind.parameters.model_fields[name].default for name in names)


def parameter(table: pd.DataFrame, probe: Wanted, name: str) -> Any:
    """With which a table was measured; the default where it came later than the table."""
    return table[name].iloc[0] if name in table else PROBES[probe.probe].parameters.model_fields[name].default


def known_role(claim: str, role: str, roles: Sequence[str]) -> str:
    """`role` if the case has it.

    Raises:
        HarnessError: it has not; names the nearest.
    """
    if role not in roles:
        raise HarnessError(f"claim {claim}: no role {role!r}; {nearest(role, roles)}")
    return role
