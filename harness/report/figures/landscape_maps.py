"""A rise over the plane, as a map of colours and as a surface."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from harness.report.figures.style import DEPTHS, GRID, WIDTH, Panel, panel_axes
from harness.report.numbers import fixed, plain

COARSE = 8  # cells along the side of a surface that is fine enough to see
FLATTEST = 1e-6  # nats; a rise below it is drawn as none
LADDER = [rung * 10.0**power for power in range(-24, 13) for rung in (1, 3)]


@dataclass(frozen=True)
class Scale:
    """What all maps of a drawing share.

    Attributes:
        levels: where the colours change, up to just below the highest rise: 1, 3, 10, 30, ...; or by tens or hundreds,
            where the flattest network would be of one colour. One less than colours.
        ceiling: where surfaces are cut off: the highest rise of the flattest network.
    """

    levels: list[float]
    ceiling: float


def common_scale(networks: list[list[pd.DataFrame]]) -> Scale:
    """Of the rises of several networks; at least one of each is finite."""
    highest = [max(float(rise.max(axis=None)) for rise in rises) for rises in networks]
    top, flattest = max(*highest, FLATTEST), max(min(highest), FLATTEST)
    last = next(number for number, rung in enumerate(LADDER) if rung >= top or rung == LADDER[-1]) - 1
    for step in (1, 2, 4):
        levels = LADDER[last - step * (len(DEPTHS) - 2) : last + 1 : step]
        if levels[0] <= flattest / 10:
            break
    return Scale(levels, flattest)


def contour(name: str, term: str, rise: pd.DataFrame, scale: Scale) -> Panel:
    figure, axes = panel_axes(height=3.0, below=0.85)
    finite = np.ma.masked_invalid(rise.to_numpy())
    axes.contourf(rise.columns, rise.index, finite, levels=scale.levels, colors=DEPTHS, extend="both")
    axes.set(xlabel="x, in lengths of the weights", ylabel="y")
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    colour_bar(figure, scale.levels)
    return Panel(f"{name}, {term}", figure, in_words(name, term, rise, "map"))


def colour_bar(figure: Figure, levels: list[float]) -> None:
    """The colours in a row, the thresholds between them below."""
    height = figure.get_size_inches()[1]
    axes = figure.add_axes((0.52 / WIDTH, 0.32 / height, 3.22 / WIDTH, 0.1 / height))
    for step, colour in enumerate(DEPTHS):
        axes.add_patch(Rectangle((step, 0), 1, 1, facecolor=colour, edgecolor="none"))
    axes.set(xlim=(0, len(DEPTHS)), ylim=(0, 1), yticks=[], xlabel="rise (nats)")
    axes.set_xticks(range(1, len(DEPTHS)), [short(level) for level in levels])
    axes.xaxis.labelpad = 1
    axes.tick_params(length=2, pad=1)
    for spine in axes.spines.values():
        spine.set_visible(False)


def short(level: float) -> str:
    """The next label is near: 3000, but 1e4."""
    return plain(level) if level < 1e4 else f"{level:.0e}".replace("e+0", "e").replace("e+", "e")


def surface(name: str, term: str, rise: pd.DataFrame, scale: Scale) -> Panel:
    """Cut off at the ceiling; cells with a corner that is not finite are left out."""
    figure = Figure(figsize=(WIDTH, 2.9))
    axes = figure.add_axes((0.0, 0.04, 0.94, 1.02), projection="3d")
    assert isinstance(axes, Axes3D)
    cells = [clipped(cell, scale.ceiling) for cell in finite_cells(rise)]
    cells = [cell for cell in cells if len(cell)]
    heights = [cell[:, 2].mean() for cell in cells]
    colours = [DEPTHS[step] for step in np.searchsorted(scale.levels, heights)]
    mesh = Poly3DCollection(cells, facecolors=colours, edgecolors=GRID, linewidths=0.3)
    mesh.set_clip_on(False)  # or every cell says so in the SVG
    axes.add_collection3d(mesh)
    axes.set(xlabel="x", ylabel="y", zlabel="rise (nats)")
    ends, low = np.array([-1, 0, 1]) * float(rise.index[-1]), float(min(rise.min(axis=None), 0))
    axes.set(xlim=ends[[0, -1]], ylim=ends[[0, -1]], zlim=(low, scale.ceiling), xticks=ends, yticks=ends)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_pane_color((0, 0, 0, 0))
        axis.set_tick_params(pad=0)
        axis.labelpad = 0
    axes.zaxis.set_major_locator(MaxNLocator(4))
    return Panel(f"{name}, {term}", figure, in_words(name, term, rise, "surface"))


def finite_cells(rise: pd.DataFrame) -> np.ndarray:
    """[cell, corner, (x, y, rise)], the corners in turn; of a fine grid every second line, which is enough to see."""
    rise = rise.iloc[::2, ::2] if len(rise) > 2 * COARSE and len(rise) % 4 == 1 else rise
    x, y, z = *np.meshgrid(rise.columns, rise.index), rise.to_numpy()
    parts = [np.stack([of[:-1, :-1], of[:-1, 1:], of[1:, 1:], of[1:, :-1]], axis=-1) for of in (x, y, z)]
    cells = np.stack(parts, axis=-1).reshape(-1, 4, 3)
    return cells[np.isfinite(cells).all((1, 2))]


def clipped(cell: np.ndarray, ceiling: float) -> np.ndarray:
    """What of a polygon [corner, (x, y, z)] lies below the ceiling; it may have no corners."""
    kept = []
    for here, after in zip(cell, np.roll(cell, -1, axis=0), strict=True):
        if here[2] <= ceiling:
            kept.append(here)
        if (here[2] <= ceiling) != (after[2] <= ceiling):
            kept.append(here + (after - here) * (ceiling - here[2]) / (after[2] - here[2]))
    return np.array(kept)


def in_words(name: str, term: str, rise: pd.DataFrame, what: str) -> str:
    finite = rise.stack()
    (y, x), highest = finite.idxmax(), finite.max()
    text = f"{what.capitalize()} of the rise of {term} over the centre, {name}: at most {fixed(highest, 2)} nats, at "
    text += f"x = {plain(x)}, y = {plain(y)}; half of the plane below {fixed(finite.median(), 2)}."
    return text
