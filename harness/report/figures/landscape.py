"""Fig 1a of the paper: how the training loss rises around trained weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from harness.readings import rings
from harness.report.figures.depth import DASHED
from harness.report.figures.landscape_maps import common_scale, contour, surface
from harness.report.figures.style import Drawing, Panel, Paper, as_csv, legend_below, named, panel_axes
from harness.report.numbers import fixed, plain
from harness.report.tables import TableError

NUMERIC = ("seed", "sample", "images", "x", "y", "nll", "l2", "l2_norms")
TEXT = ("role", "model")

TERMS = {"nll": "NLL", "nll_and_l2_norms": "NLL + l2"}  # what is drawn; the second as the paper plots it
QUANTITIES = {"nll": "ring_increase_nll", "nll_and_l2_norms": "ring_increase"}  # in the catalogue


@dataclass(frozen=True)
class Network:
    """What was measured around one role's networks, averaged over the planes of each seed.

    Attributes:
        rings: of each seed, by r.
        rises: term -> rise over the centre, averaged over seeds; rows are y, columns x, nan where it is not finite.
        centre: nll, l2 and l2_norms there, averaged over seeds.
    """

    role: str
    name: str
    planes: int
    rings: dict[int, pd.DataFrame]
    rises: dict[str, pd.DataFrame]
    centre: pd.Series

    @property
    def blank(self) -> int:
        """How many cells of the map are not finite."""
        return int(self.rises["nll"].isna().to_numpy().sum())


def draw(table: pd.DataFrame, paper: Paper) -> list[Drawing]:
    """Two drawings: the rise on rings of all roles beside the paper's, and the surface of every role.

    Raises:
        TableError: a grid has no centre, or the loss there is not finite.
    """
    networks = [network(str(role), rows) for role, rows in table.groupby("role", sort=False)]
    panels = [ring_panel(networks, term, paper) for term in TERMS]
    scale = common_scale([list(one.rises.values()) for one in networks])
    maps = [
        panel(one.name, term, one.rises[name], scale)
        for one in networks
        for panel in (contour, surface)
        for name, term in TERMS.items()
    ]
    return [
        Drawing(
            "landscape-rings",
            "Rise of the loss around the weights",
            rings_caption(networks, paper),
            panels,
            csv=rings_csv(networks),
        ),
        Drawing("landscape", "Loss landscapes", maps_caption(networks), maps, csv=maps_csv(networks)),
    ]


def network(role: str, table: pd.DataFrame) -> Network:
    losses = ["nll", "l2", "l2_norms"]
    # A cell that is not finite in one plane is so in the average: the sum of infinities of both signs would be nan, and
    # pandas leaves that out.
    table = table.assign(nll=table["nll"].where(np.isfinite(table["nll"]), np.inf))
    seeds = table.groupby(["seed", "x", "y"], as_index=False)[losses].mean()
    mean = seeds.groupby(["x", "y"], as_index=False)[losses].mean()
    centre = mean[(mean["x"] == 0) & (mean["y"] == 0)][losses]
    if len(mean) < 9 or len(centre) != 1 or not np.isfinite(centre.to_numpy()).all():
        raise TableError(f"landscape.parquet: no grid around a finite loss for {role}")
    sums = {"nll": mean["nll"], "nll_and_l2_norms": mean["nll"] + mean["l2_norms"]}
    rises = {
        name: mean.assign(rise=loss - loss[centre.index[0]]).pivot(index="y", columns="x", values="rise")
        for name, loss in sums.items()
    }
    return Network(
        role,
        named(role, table["model"].iloc[0]),
        table["sample"].nunique(),
        {int(seed): rings(rows) for seed, rows in seeds.groupby("seed")},
        {name: rise.where(np.isfinite(rise)) for name, rise in rises.items()},
        centre.iloc[0],
    )


def ring_panel(networks: list[Network], name: str, paper: Paper) -> Panel:
    lines_below = sum(1 + len(paper.of(one.role, QUANTITIES[name])) for one in networks)
    figure, axes = panel_axes(below=0.5 + 0.14 * lines_below, left=0.6)
    lines, words = [], []
    for one in networks:
        colour = paper.colour(one.role)
        spread = pd.concat(one.rings.values()).groupby("r")[name].agg(["mean", "min", "max"])
        axes.fill_between(spread.index, spread["min"], spread["max"], color=colour, alpha=0.2, linewidth=0)
        axes.plot(spread.index, spread["mean"], "o-", color=colour, markeredgecolor="none")
        lines.append(Line2D([], [], color=colour, label=one.name))
        words.append(f"{one.name} {', '.join(fixed(value, 2) for value in spread['mean'])}")
        for series in paper.of(one.role, QUANTITIES[name]):
            axes.plot(series.x or [], series.values, linestyle=DASHED, color=colour, linewidth=1)
            lines.append(Line2D([], [], linestyle=DASHED, color=colour, linewidth=1, label=paper.label(series)))
            words.append(f"{paper.label(series)} {', '.join(fixed(value, 2) for value in series.values)}")
    rise_axis(axes)
    legend_below(axes, lines, columns=1)
    label = f"Mean rise of {TERMS[name]} over the centre, from the innermost ring outwards: {'; '.join(words)}."
    return Panel(TERMS[name], figure, label)


def rings_csv(networks: list[Network]) -> str:
    """A row per role, seed and ring."""
    return as_csv(
        pd.concat([ring.assign(role=one.role, seed=seed) for one in networks for seed, ring in one.rings.items()])
    )


def maps_csv(networks: list[Network]) -> str:
    """A row per role and cell."""
    cells = [pd.DataFrame({term: rise.stack() for term, rise in one.rises.items()}).assign(role=one.role)
             for one in networks]  # fmt: skip
    return as_csv(pd.concat(cells).reset_index())


def rise_axis(axes: Axes) -> None:
    """Powers of ten, since networks differ by them, but straight through zero: a loss may fall as well."""
    axes.set_yscale("symlog", linthresh=0.1)
    axes.yaxis.set_major_formatter(lambda value, _: plain(value))
    axes.set(xlabel="r, in lengths of the weights", ylabel="rise (nats)", xlim=(0, None))
    axes.grid(axis="y")


def rings_caption(networks: list[Network], paper: Paper) -> str:
    planes = " and ".join(str(planes) for planes in sorted({one.planes for one in networks}))
    last = [(one.name, pd.concat(one.rings.values()).groupby("r")["nll_and_l2"].mean().iloc[-1]) for one in networks]
    true = "; ".join(f"{name} {fixed(value, 1)}" for name, value in last)
    text = (
        "Loss on augmented training images minus that at the trained weights, mean over the square ring max(|x|, |y|) "
        f"= r and over {planes} planes of random directions; bands: lowest to highest seed. "
    )
    if any(paper.of(one.role, quantity) for one in networks for quantity in QUANTITIES.values()):
        text += f"Dashed: the paper's, {paper.dataset}. "
    return text + (
        "The l2 term is the paper's, the sum of the weights' norms, not of their squares. With half the sum of "
        f"squares, which is what weight decay adds, the outermost ring rises by: {true}. {blanks(networks)}"
    )


def maps_caption(networks: list[Network]) -> str:
    centres = "; ".join(
        f"{one.name} NLL {fixed(one.centre['nll'], 2)}, l2 {fixed(one.centre['l2_norms'], 2)}" for one in networks
    )
    return (
        "The same rises over the plane, averaged over planes and seeds, of NLL alone and with the paper's l2 term. "
        "Colours are the same in all; the boxes of the surfaces end where the flattest network does, and what rises "
        f"higher is cut off. At the centre: {centres}. {blanks(networks)}"
    )


def blanks(networks: list[Network]) -> str:
    """How many cells were left out, and where."""
    counts = [f"{one.blank} of {one.rises['nll'].size} ({one.name})" for one in networks if one.blank]
    return f"Cells left blank, since a loss there is not finite: {'; '.join(counts)}." if counts else ""
