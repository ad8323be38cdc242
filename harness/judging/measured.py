"""The tables of a case, from the store that measured them or from the results folder that keeps a copy.

A table says in columns what it holds, whatever its file is called: whose network (`role`, `model`, `seed`), which point
of a study (`of`, `study`, `at`), what was measured (`probe`), of which weights (`after`: the share of the epochs behind
the warm-up), and the parameters that tell one protocol from another (`ProbeKind.told`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from harness.errors import HarnessError, nearest
from harness.judging.evidence import Evidence
from harness.plan.case import Case
from harness.plan.study import Point
from harness.plan.wanted import Wanted
from harness.probes.kinds import PROBES
from harness.store import Store
from harness.store.files import write_atomically
from harness.store.tables import read_parquet, to_parquet

if TYPE_CHECKING:
    import pandas as pd

NETWORK = ("role", "model", "seed")
POINT = ("of", "study", "at")
MEASURED = ("probe", "after")


class Measured(Protocol):
    """Where a test finds what was measured.

    Attributes:
        roles: in the order in which the test names them.
        points: of those that are points of a study.
    """

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
            self._read[key] = read_parquet(artifact.path / "table.parquet")
        return self._read[key]

    def copy_to(self, results: Path) -> list[str]:
        """Write one table a probe, for all networks and seeds of the case: the results folder stands alone.

        Returns:
            Their paths, relative to the folder.
        """
        import pandas as pd

        paths = []
        for probe in self.case.probes:
            parts = [
                self.read(role, probe, seed).assign(**self._about(role, probe, seed))
                for role in self.roles
                for seed in self.seeds
            ]
            table = pd.concat(parts, ignore_index=True)
            first = [*NETWORK, *POINT, *MEASURED, *PROBES[probe.probe].told]
            table = table[first + [column for column in table.columns if column not in first]]
            relative = Path("tables") / self.case.claim / self.case.name / f"{probe.name}.parquet"
            write_atomically(results / relative, to_parquet(table))
            paths.append(relative.as_posix())
        return paths

    def _about(self, role: str, probe: Wanted, seed: int) -> dict[str, Any]:
        parameters = self.case.request(role, probe, seed).parameters
        told = {name: getattr(parameters, name) for name in PROBES[probe.probe].told}
        network = {"role": role, "model": str(self.case.players[role]), "seed": seed}
        return network | in_columns(self.points.get(role)) | {"probe": probe.probe, "after": float(probe.after)} | told


def in_columns(point: Point | None) -> dict[str, str]:
    """A point of a study as a table holds it: all text, empty for a role that stands for itself."""
    if point is None:
        return dict.fromkeys(POINT, "")
    return {"of": point.of, "study": point.study, "at": str(point.at)}


@dataclass(frozen=True)
class FromResults:
    """The copies in a results folder, found by what their columns say."""

    results: Path
    evidence: Evidence
    wanted: tuple[Wanted, ...]
    _found: dict[Wanted, pd.DataFrame] = field(default_factory=dict)

    @property
    def roles(self) -> tuple[str, ...]:
        return tuple(self.evidence.case.models)

    @property
    def points(self) -> Mapping[str, Point]:
        return self.evidence.case.studies

    @property
    def seeds(self) -> Sequence[int]:
        return self.evidence.case.seeds

    def read(self, role: str, probe: Wanted, seed: int) -> pd.DataFrame:
        table = self._table(probe)
        mine = table[(table["role"] == role) & (table["seed"] == seed)]
        if mine.empty:
            raise HarnessError(f"the {probe.probe} table in {self.results} has no rows of {role}, seed {seed}")
        about = [*NETWORK, *POINT, *MEASURED, *PROBES[probe.probe].told]
        return mine.drop(columns=[column for column in about if column in mine]).reset_index(drop=True)

    def _table(self, probe: Wanted) -> pd.DataFrame:
        if not self._found:
            self._match()
        if probe not in self._found:
            there = [f"{self.results / path}" for path in self.evidence.tables]
            raise HarnessError(f"no table of {probe.name} among {', '.join(there) or 'no tables at all'}")
        return self._found[probe]

    def _match(self) -> None:
        """Each table to the probe that it holds; a probe with more to tell chooses first."""
        tables = [table_of(self.results / path) for path in self.evidence.tables]
        for probe in sorted(self.wanted, key=lambda probe: -len(probe.changes)):
            fitting = [number for number, table in enumerate(tables) if holds(table, probe)]
            if fitting:
                self._found[probe] = tables.pop(fitting[0])


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
    if first["probe"] != probe.probe or first["after"] != float(probe.after):
        return False
    return all(first[key] == value for key, value in probe.changes if key in PROBES[probe.probe].told)


def known_role(claim: str, role: str, roles: Sequence[str]) -> str:
    """`role` if the case has it.

    Raises:
        HarnessError: it has not; names the nearest.
    """
    if role not in roles:
        raise HarnessError(f"claim {claim}: no role {role!r}; {nearest(role, roles)}")
    return role
