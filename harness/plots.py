"""Draw what a probe returned, in one line: shown by a notebook, or kept in files.

from harness import plots
from harness.probes import fourier

plots.draw(fourier(model, images))
plots.draw({"mine": fourier(mine, images), "resnet50": fourier(resnet, images)}).save("spectra.png")
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from harness.errors import HarnessError
from harness.probes.kinds import PROBES, ProbeKind
from harness.report.figures import Drawing, Paper, drawings_of, pictured
from harness.report.figures.style import GRID, INK, MUTED, ROLES, VARIABLES, figure_style
from harness.report.tables import ABOUT
from harness.report.templating import environment

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

COLOURS = [colour for role, colour in ROLES.items() if role != "other"]
STYLESHEET = Path(__file__).parent / "report" / "templates" / "report.css"
RESOLUTION = 200  # dots per inch, of formats that have dots


@dataclass(frozen=True)
class Plot:
    """What was drawn of one probe's tables, a drawing with its caption and panels each. A notebook shows it."""

    drawings: list[Drawing]

    @property
    def figures(self) -> list[Figure]:
        """The panels as matplotlib figures, to be changed and saved as any other."""
        return [panel.figure for drawing in self.drawings for panel in drawing.panels if panel.figure is not None]

    def save(self, path: str | Path) -> list[Path]:
        """Write every panel to a file of its own, numbered where there are several: `spectra-1.png`, ...

        Args:
            path: its ending says what is written: .png, .svg, .pdf, or whatever else matplotlib writes.

        Returns:
            The files.

        Raises:
            HarnessError: matplotlib writes no such files, or it cannot be written there.
        """
        path = Path(path)
        figures = self.figures
        names = [path.with_stem(f"{path.stem}-{number}") for number in range(1, len(figures) + 1)]
        files = [path] if len(figures) == 1 else names
        for figure, file in zip(figures, files, strict=True):
            try:
                with figure_style():
                    figure.savefig(file, dpi=RESOLUTION)
            except (OSError, ValueError) as error:  # the latter for an ending that it does not know
                raise HarnessError(f"cannot save {file}: {str(error).splitlines()[0]}") from error
        return files

    def _repr_html_(self) -> str:
        variables = "; ".join(f"{name}: {value}" for name, value in colours().items())
        return environment().get_template("plot.html").render(drawings=self.drawings, variables=Markup(variables))


def draw(tables: pd.DataFrame | Mapping[str, pd.DataFrame]) -> Plot:
    """The suite's own figures of what a probe returned.

    Args:
        tables: of one network, or network's name -> table, all of the same probe. A table of a results folder, which
            says whose rows are whose, is taken as it is.

    Raises:
        HarnessError: they are not tables of one probe.
        TableError: no figure can be drawn from them; the message says why.
    """
    import pandas as pd

    named = dict(tables) if isinstance(tables, Mapping) else {"network": tables}
    if not named:
        raise HarnessError("there is nothing to draw: give a probe's table, or network's name -> table")
    kinds = {name: probe_of(table) for name, table in named.items()}
    first = next(iter(kinds.values()))
    if len(set(kinds.values())) > 1:
        told = ", ".join(f"{name} of {kind}" for name, kind in kinds.items())
        raise HarnessError(f"expected tables of one probe to be drawn together; found {told}")
    whole = pd.concat([told_of(table, name, PROBES[first]) for name, table in named.items()], ignore_index=True)
    found = drawings_of(whole, first, first, paper_without(list(dict.fromkeys(whole["role"]))))
    found = pictured(found, f"plot-{first}")
    for drawing in found:
        for panel in drawing.panels:
            if panel.figure is not None:
                colour(panel.figure)
    return Plot(found)


def probe_of(table: pd.DataFrame) -> str:
    """Whose columns these are.

    Raises:
        HarnessError: no probe's.
    """
    there = [kind for kind in PROBES.values() if {*kind.keys, *kind.values, "sample"} <= set(table)]
    if not there:
        raise HarnessError(
            f"expected what a probe returned ({', '.join(PROBES)}); found the columns {', '.join(map(str, table))}"
        )
    return max(there, key=lambda kind: len(kind.keys) + len(kind.values)).name


def told_of(table: pd.DataFrame, name: str, kind: ProbeKind, model: str = "") -> pd.DataFrame:
    """The table with the columns that a results folder's have, as of one network of that name."""
    usual = {field: kind.parameters.model_fields[field].default for field in kind.told}
    about = {"role": name, "model": model, "seed": 0, "of": "", "study": "", "at": "", "probe": kind.name, "after": 1.0}
    assert set(about) == set(ABOUT)
    return table.assign(**{column: value for column, value in (about | usual).items() if column not in table})


def paper_without(names: list[str]) -> Paper:
    """Nothing of the paper's, and a colour for each network."""
    return Paper([], "", "", colours={name: COLOURS[place % len(COLOURS)] for place, name in enumerate(names)})


@cache
def colours() -> dict[str, str]:
    """CSS variable -> colour, of the report's light scheme."""
    light = STYLESHEET.read_text(encoding="utf-8").split("@media", 1)[0]
    return dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6})", light))


def colour(figure: Figure) -> None:
    """Replace the placeholders that figures are drawn with by colours that can be seen."""
    seen = {placeholder: colours()[variable] for placeholder, variable in VARIABLES.items()}
    figure.set_facecolor(colours()["--page"])
    for axes in figure.axes:  # whose ticks are made when they are drawn
        axes.tick_params(color=seen[MUTED], labelcolor=seen[INK], grid_color=seen[GRID])
    for artist in figure.findobj():
        for what in ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor"):
            repaint(artist, what)


def repaint(artist: Artist, what: str) -> None:
    from matplotlib.colors import to_rgba_array

    get, put = getattr(artist, f"get_{what}", None), getattr(artist, f"set_{what}", None)
    if get is None or put is None:
        return
    found: Any = get()
    try:
        rgba = to_rgba_array(found)
    except (ValueError, TypeError):  # "auto", "inherit"
        return
    seen = colours()
    names = [VARIABLES.get("#" + "".join(f"{round(255 * part):02x}" for part in each[:3])) for each in rgba]
    if not any(names):
        return
    painted = [
        (*to_rgba_array(seen[name])[0][:3], each[3]) if name else tuple(each)
        for name, each in zip(names, rgba, strict=True)
    ]
    put(painted if len(painted) > 1 or getattr(found, "ndim", 1) > 1 else painted[0])
