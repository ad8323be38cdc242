"""How every figure looks, and how it becomes inline SVG that follows the page's light or dark scheme."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import matplotlib
import pandas as pd
from markupsafe import Markup, escape
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation

from harness.plan.catalogue import Series, StudyAxis
from harness.plan.study import Point
from harness.report.cells import Table

# Placeholders that matplotlib draws with; in the SVG each becomes the CSS variable of the same name, so that one
# figure serves both colour schemes and print.
INK, MUTED, GRID, PAPER = "#010101", "#010102", "#010103", "#010104"
MSA_SPAN, POOL_SPAN = "#010105", "#010106"
ROLES = {
    role: f"#0201{number:02x}"
    for number, role in enumerate(
        ("vit", "resnet", "alternet", "preact_resnet", "pit", "swin", "resnext", "twins", "mixer", "conv_vit", "other")
    )
}
LARGE = {"resnet_large": "resnet", "vit_large": "vit"}  # another size of the same network
DEPTHS = tuple(f"#0301{step:02x}" for step in range(1, 10))
VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--rule",
    PAPER: "--published",
    MSA_SPAN: "--msa",
    POOL_SPAN: "--pool",
    **{colour: f"--{role.replace('_', '-')}" for role, colour in ROLES.items()},
    **{colour: f"--depth-{index}" for index, colour in enumerate(DEPTHS)},
}

WIDTH = 3.9  # inches of every panel: small enough that its text can be read on a phone

MARKERS = {"stem": "D", "conv": "s", "msa": "o", "mlp": "^", "pool": "X"}
KIND_NAMES = {"stem": "stem", "conv": "Conv", "msa": "MSA", "mlp": "MLP", "pool": "pooling"}

STYLE: dict[str, Any] = {
    "svg.fonttype": "none",  # text stays text: it can be searched, selected and read aloud
    "text.parse_math": False,  # a model's name may hold a dollar sign
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib, so the layout is the same on every machine
    "font.size": 7.5,
    "axes.labelsize": 7.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "lines.markersize": 4,
    "legend.frameon": False,
    "legend.fontsize": 7,
}


@dataclass(frozen=True)
class Paper:
    """What the paper shows for the claim: its digitised curves and the data set they were measured on.

    Attributes:
        studies: how the claim's studies are drawn.
        points: of our roles that are points of a study.
        picture: how the claim wants its probe's table drawn.
        colours: of networks that play no role.
    """

    series: list[Series]
    dataset: str
    figure: str
    studies: dict[str, StudyAxis] = field(default_factory=dict)
    points: dict[str, Point] = field(default_factory=dict)
    picture: str | None = None
    colours: dict[str, str] = field(default_factory=dict)

    def of(self, role: str, quantity: str) -> list[Series]:
        return [series for series in self.series if series.role == role and series.quantity == quantity]

    def label(self, series: Series) -> str:
        return f"paper: {series.name}, {self.dataset}"

    def colour(self, role: str) -> str:
        """A role has the same colour in every figure, the point of a study that of the role it varies."""
        if role in self.colours:
            return self.colours[role]
        return role_colour(self.points[role].of if role in self.points else role)


@dataclass
class Panel:
    """One plot under its title.

    Attributes:
        figure: none where only its picture is kept.
        label: what it shows in words, for those who cannot see it.
        alike: whether it looks like the one before it, and so stands folded.
    """

    title: str
    figure: Figure | None
    label: str
    svg: Markup = field(default_factory=Markup)
    alike: bool = False


@dataclass
class Drawing:
    """Panels that belong together, under one title and one caption.

    Attributes:
        table: the numbers to them, to read.
        csv: the numbers that are drawn, to take along.
        as_in_paper: whether it was measured as the paper measured.
    """

    name: str
    title: str
    caption: str
    panels: list[Panel]
    table: Table | None = None
    csv: str = ""
    as_in_paper: bool = True


def as_csv(table: pd.DataFrame, *columns: str) -> str:
    """The chosen columns, or all, with six digits."""
    return table[list(columns) or list(table)].to_csv(index=False, float_format="%.6g", lineterminator="\n")


@contextmanager
def figure_style() -> Iterator[None]:
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever the person's own matplotlibrc says
        matplotlib.rcParams.update(STYLE)  # type: ignore[arg-type]  # typed by key, with a literal for each
        yield


def panel_axes(height: float = 1.75, below: float = 0.42, left: float = 0.52, top: float = 0.06) -> tuple[Figure, Axes]:
    """An empty plot as wide as every other; `height` of the plot itself and the room around it are in inches."""
    right, whole = 0.16, below + height + top
    figure = Figure(figsize=(WIDTH, whole))
    axes = figure.add_axes((left / WIDTH, below / whole, (WIDTH - left - right) / WIDTH, height / whole))
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))  # few digits: the labels fit in `left`
    return figure, axes


def named(role: str, model: str) -> str:
    """How a network is called in a figure; one that plays no role has a name alone."""
    return f"{role}: {model}" if model else role


def role_colour(role: str) -> str:
    """Of a role that stands for itself; its name stands beside it."""
    return ROLES.get(LARGE.get(role, role), ROLES["other"])


def dot(colour: str, marker: str, label: str) -> Line2D:
    """A marker for a legend."""
    return Line2D([], [], color=colour, marker=marker, linestyle="none", markeredgecolor="none", label=label)


def legend_below(axes: Axes, handles: Sequence[Artist], columns: int, left: float = 0.0) -> None:
    """A legend in the room below the axis label, from `left` inches on."""
    place = axes.transAxes + ScaledTranslation(left, -0.4, axes.figure.dpi_scale_trans)
    legend = Legend(
        axes,
        handles,
        [str(handle.get_label()) for handle in handles],
        loc="upper left",
        bbox_to_anchor=(0, 0),
        bbox_transform=place,
        ncols=columns,
        columnspacing=1,
        handlelength=1.8,
        handletextpad=0.5,
        labelspacing=0.35,
        borderpad=0,
        borderaxespad=0,
    )
    axes.add_artist(legend)  # axes.legend would replace an earlier legend


def to_svg(figure: Figure, key: str, label: str) -> Markup:
    """The figure as an inline `<svg>` element: the same bytes for the same figure, ids that start with `key`."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": key}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    svg = buffer.getvalue()
    box = svg.split('viewBox="', 1)[1].split('"', 1)[0]
    body = svg.split("<svg", 1)[1].split(">", 1)[1]
    # The metadata name a date and outside addresses; the style element would reach beyond the figure.
    body = re.sub(r"<metadata>.*?</metadata>|<style\b.*?</style>|<!--.*?-->|\s*<defs>\s*</defs>", "", body, flags=re.S)
    body = own_ids(body, key)
    for placeholder, variable in VARIABLES.items():
        body = body.replace(placeholder, f"var({variable})")
    return Markup(f'<svg viewBox="{box}" role="img" aria-label="{escape(label)}">{body.strip()}')


def own_ids(body: str, key: str) -> str:
    """Drop the ids that nothing refers to and mark the rest as this figure's: a page must not hold one twice."""
    used = set(re.findall(r'(?:url\(|href=")#([^)"]+)', body))
    prefix = prefix_of(key)

    def rename(match: re.Match) -> str:
        return f' id="{prefix}-{match[1]}"' if match[1] in used else ""

    body = re.sub(r' id="([^"]*)"', rename, body)
    return re.sub(r'(url\(|xlink:href=")#', lambda match: f"{match[1].replace('xlink:', '')}#{prefix}-", body)


def prefix_of(key: str) -> str:
    """What the ids of a figure with that key begin with."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", key)
