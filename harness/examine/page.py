"""The page of networks that were examined: one HTML file with its style and figures inside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.examine.measure import Asked, Bench
from harness.examine.pictures import Source
from harness.examine.ranking import Place, Quantity, ranked
from harness.plots import paper_without
from harness.readings import scores
from harness.report.cells import Table
from harness.report.figures import Drawing, drawings_of, pictured
from harness.report.numbers import fixed
from harness.report.tables import TableError
from harness.report.templating import environment
from harness.store.files import write_atomically

if TYPE_CHECKING:
    import pandas as pd

TITLES = {
    "fourier": "Frequencies of feature maps",
    "variance": "Variance of feature maps",
    "similarity": "Similarity of units",
    "prediction": "Predictions of clean images",
    "lesion": "Lesions",
    "noise": "Noise by frequency",
    "corruption": "Corruptions",
    "hessian": "Hessian eigenvalues of the loss",
    "landscape": "Loss landscape",
}
METRICS = {
    "accuracy": "accuracy (%)",
    "top5": "top-5 (%)",
    "nll": "NLL (nats)",
    "brier": "Brier",
    "ece": "ECE (%)",
    "signed_ece": "signed ECE (%)",
    "acc90": "Acc-90 (%)",
    "unc90": "Unc-90 (%)",
    "freq90": "Freq-90 (%)",
    "iou": "IoU (%)",
}
NATURAL = ("nll", "brier")  # those that are no share


@dataclass(frozen=True)
class Examined:
    """All that the page tells.

    Attributes:
        tables: probe -> its table of all networks.
    """

    source: Source
    side: int
    benches: Sequence[Bench]
    looks: Sequence[Asked]
    remarks: Sequence[str]
    tables: dict[str, pd.DataFrame]


@dataclass(frozen=True)
class Network:
    """A network in the page's first table."""

    name: str
    model: str
    weights: str
    parameters: int
    units: str
    standard: str


@dataclass(frozen=True)
class Section:
    """One probe: its drawings, or why there are none."""

    probe: str
    title: str
    images: str
    drawings: list[Drawing]
    problem: str | None
    path: str


def write_page(results: Path, examined: Examined) -> Path:
    """Render `examine.html` into the results and return its path.

    Raises:
        HarnessError: it cannot be written.
    """
    pages = environment("harness.examine")
    pages.filters["place"] = place
    html = pages.get_template("examine.html").render(
        examined=examined,
        networks=[network(bench) for bench in examined.benches],
        rankings=ranked(examined.tables),
        sections=[section(look, examined) for look in examined.looks if look.probe in examined.tables],
        missing=[TITLES[look.probe] for look in examined.looks if look.probe not in examined.tables],
    )
    path = results / "examine.html"
    write_atomically(path, html.encode())
    return path


def network(bench: Bench) -> Network:
    from models import anatomy

    kinds = Counter(unit.kind for unit in anatomy(bench.model).units)
    return Network(
        bench.subject.name,
        str(bench.subject.model),
        bench.subject.weights,
        sum(parameter.numel() for parameter in bench.model.parameters()),
        ", ".join(f"{count} {kind}" for kind, count in kinds.items()),
        f"{numbers(bench.info.mean)} ± {numbers(bench.info.std)}",
    )


def numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in dict.fromkeys(round(value, 4) for value in values))


def place(found: Place, quantity: Quantity) -> str:
    """The number, and how far the choice of images may move it, where that is known."""
    value = fixed(found.value, quantity.places)
    error = f" ± {fixed(found.error, quantity.places)}" if found.error > 0 else ""
    return f"{value}{error}{quantity.unit}"


def section(look: Asked, examined: Examined) -> Section:
    table = examined.tables[look.probe]
    names = [bench.subject.name for bench in examined.benches]
    drawings: list[Drawing] = []
    problem = None
    try:
        drawings = pictured(drawings_of(table, look.probe, look.probe, paper_without(names)), f"examine-{look.probe}")
    except TableError as error:
        problem = str(error)
    if look.probe == "prediction" and drawings:
        drawings[0].table = metrics(table)
    images = f"{look.images} images"
    return Section(look.probe, TITLES[look.probe], images, drawings, problem, f"tables/{look.probe}.parquet")


def metrics(table: pd.DataFrame) -> Table:
    """All metrics of all networks."""
    rows = []
    for name, mine in table.groupby("role", sort=False):
        found = scores(mine)
        scaled = [found[key] * (1 if key in NATURAL else 100) for key in METRICS]
        rows.append(
            [str(name), *(fixed(value, 3 if key in NATURAL else 1) for key, value in zip(METRICS, scaled, strict=True))]
        )
    return Table("Metrics of clean images.", [("", len(METRICS))], ["network", *METRICS.values()], rows)
