"""Figs 1c, 4, 6, 7b, 12c, C.3 to C.7 and F.1b of the paper: leading Hessian eigenvalues, mini-batch by mini-batch."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from harness.report.cells import Table, with_note
from harness.report.figures.correspondence import points
from harness.report.figures.dots import Measure, shortened
from harness.report.figures.studies import study_drawings
from harness.report.figures.style import (
    INK,
    MSA_SPAN,
    MUTED,
    Drawing,
    Panel,
    Paper,
    as_csv,
    dot,
    legend_below,
    named,
    panel_axes,
)
from harness.report.numbers import fixed, plain, significant
from harness.report.spectra import NUMERIC, TEXT, OverSeeds, by_seed, mean_ape, mean_nep
from harness.report.tables import TableError

__all__ = ["NUMERIC", "TEXT", "draw"]

LOSSES = {True: "NLL + l2", False: "NLL alone"}
APE = Measure("ape", "APE", "APE", "", places=1, log=True)
NEP = Measure("nep", "NEP (%)", "NEP", " %", places=1, scale=100, reach=10)
PER_DECADE = 8  # bins
SAME = 0.85  # of all eigenvalues, in the same bins


def draw(table: pd.DataFrame, paper: Paper) -> list[Drawing]:
    """The spectra with NLL + l2 and with NLL alone, a row per role, and their numbers; the course of a study.

    Raises:
        TableError: an eigenvalue is not finite.
    """
    if not np.isfinite(table["eigenvalue"]).all():
        raise TableError("a Hessian eigenvalue is not finite")
    models = table.drop_duplicates("role").set_index("role")["model"].to_dict()
    losses = [l2 for l2 in LOSSES if (table["l2"] == l2).any()]
    edges = bins(table["eigenvalue"].to_numpy())
    panels = [spectra_panel(table, models, l2, edges, paper) for l2 in losses]
    panels[-1].alike = len(losses) > 1 and alike(table, models, edges)
    batches, seeds = table.groupby(["role", "seed"])["sample"].nunique().max(), table["seed"].nunique()
    caption = (
        f"The {table['rank'].max():.0f} eigenvalues of largest magnitude of "
        f"{f'each of {batches} mini-batches' if batches > 1 else 'one mini-batch'} and of "
        f"{f'{seeds} seeds' if seeds > 1 else 'a single seed'}, pooled; all rows to one scale. The axis is logarithmic "
        f"in both directions beyond ±{plain(edges[edges > 0][0])}. NEP: share of the negative ones. APE: mean of the "
        "positive ones."
    )
    to_read = numbers(table, models, losses, paper)
    drawn = histograms_csv(table, models, losses, edges)
    drawings = [Drawing("spectra", "Hessian eigenvalues", caption, panels, to_read, drawn)]
    if True in losses:
        values = pd.concat([by_seed(table, role, l2=True).assign(role=role) for role in models])
        drawings += study_drawings(values.assign(nep=NEP.scale * values["nep"]), [APE, NEP], paper)
    return drawings


def bins(values: np.ndarray) -> np.ndarray:
    """Edges, one of them 0, so that no bin holds both signs; of equal width on the axis but for the two around 0."""
    size = np.abs(values[values != 0])
    if not size.size:
        return np.array([-1.0, 0.0, 1.0])
    least = 10.0 ** math.floor(math.log10(np.quantile(size, 0.01)))

    def outwards(largest: float) -> np.ndarray:
        steps = math.ceil(PER_DECADE * math.log10(max(largest / least, 1.0)))
        return least * 10.0 ** (np.arange(steps + 1) / PER_DECADE)

    return np.concatenate([-outwards(-values.min())[::-1], [0.0], outwards(values.max())])


def spectra_panel(table: pd.DataFrame, models: dict[str, str], l2: bool, edges: np.ndarray, paper: Paper) -> Panel:
    figure, axes = panel_axes(height=0.62 * len(models), below=0.6, left=0.12, top=0.05)
    shares = {role: histogram(table, role, l2, edges) for role in models}
    tallest = max(share.max() for share in shares.values()) or 1.0
    axes.axvspan(edges[0], 0, color=MSA_SPAN, linewidth=0, zorder=0)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    words = []
    for row, (role, model) in enumerate(models.items()):
        base = row + 0.42
        axes.stairs(base - 0.55 * shares[role] / tallest, edges, baseline=base, fill=True, color=paper.colour(role))
        axes.axhline(base, color=MUTED, linewidth=0.5)
        size, sign = mean_ape(table, role, l2=l2), mean_nep(table, role, l2=l2)
        axes.plot([size.mean], [base], "^", color=INK, markersize=5, clip_on=False, zorder=3)
        axes.text(0.01, row - 0.34, shortened(named(role, model)), transform=axes.get_yaxis_transform(), va="center")
        words.append(f"{role} ({model}) NEP {NEP.text(100 * sign.mean)}, APE {significant(size.mean)}")
    finish(axes, edges, len(models))
    marks = [Patch(color=MSA_SPAN, linewidth=0, label="negative"), dot(INK, "^", "APE, mean over seeds")]
    legend_below(axes, marks, columns=2)
    return Panel(LOSSES[l2], figure, f"Hessian eigenvalues, {LOSSES[l2]}: {'; '.join(words)}.")


def histogram(table: pd.DataFrame, role: str, l2: bool, edges: np.ndarray) -> np.ndarray:
    values = table.loc[(table["role"] == role) & (table["l2"] == l2), "eigenvalue"].to_numpy()
    # The outermost edges are rounded; what lies on them belongs in.
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    return counts / max(len(values), 1)


def histograms_csv(table: pd.DataFrame, models: dict[str, str], losses: list[bool], edges: np.ndarray) -> str:
    """A row per role, loss and bin that holds an eigenvalue."""
    bins = [
        pd.DataFrame({"role": role, "loss": LOSSES[l2], "from": edges[:-1], "to": edges[1:], "share": share})
        for role in models
        for l2 in losses
        for share in [histogram(table, role, l2, edges)]
    ]
    return as_csv(pd.concat([rows[rows["share"] > 0] for rows in bins]))


def alike(table: pd.DataFrame, models: dict[str, str], edges: np.ndarray) -> bool:
    """Whether the l2 term changes no spectrum that an eye would see: nearly all values stay in their bins."""
    kept = [np.minimum(*(histogram(table, role, l2, edges) for l2 in LOSSES)).sum() for role in models]
    return bool(min(kept) >= SAME)


def finish(axes: Axes, edges: np.ndarray, rows: int) -> None:
    least = edges[edges > 0][0]
    axes.set_xscale("symlog", linthresh=least, linscale=1 / PER_DECADE)
    exponents = range(round(math.log10(least)), math.floor(math.log10(max(-edges[0], edges[-1]))) + 1)
    decades = [10.0**exponent for exponent in exponents]
    ticks = [-tick for tick in reversed(decades) if -tick >= edges[0]] + [tick for tick in decades if tick <= edges[-1]]
    axes.set_xticks(ticks, [plain(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set_xlim(edges[0], edges[-1])
    axes.set_yticks([])
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.set_ylim(rows - 0.5, -0.6)
    axes.set_xlabel("eigenvalue")
    axes.grid(axis="x")


def numbers(table: pd.DataFrame, models: dict[str, str], losses: list[bool], paper: Paper) -> Table:
    """NEP and APE of both losses; the paper's belong to NLL + l2."""
    published = {(role, quantity): points(paper, role, quantity) for role in models for quantity in ("nep", "ape")}
    several = table["seed"].nunique() > 1
    rows = []
    for role, model in models.items():
        row: list[str] = [with_note(role, model)]
        for l2 in losses:
            row.append(cell(mean_nep(table, role, l2=l2), several, scale=100))
            row.append(cell(mean_ape(table, role, l2=l2), several))
        if any(published.values()):
            row += [", ".join(f"{100 * value:.3g}" for _, value in published[role, "nep"]) or "–"]
            row += [", ".join(plain(value) for _, value in published[role, "ape"]) or "–"]
        rows.append(row)
    groups = [(LOSSES[l2], 2) for l2 in losses]
    caption = "NEP and APE of a single seed."
    if several:
        caption = "NEP and APE: means over the seeds (of APE the geometric one), the lowest and the highest seed below."
    if any(published.values()):
        groups.append((f"paper, {paper.dataset}", 2))
        names = dict.fromkeys(series.name for found in published.values() for series, _ in found)
        caption += f" The paper's are of NLL + l2, digitised ({paper.figure}): {'; '.join(names)}."
    return Table(caption, groups, ["role", *["NEP (%)", "APE"] * len(groups)], rows)


def cell(value: OverSeeds, several: bool, scale: float = 1.0) -> str:
    def shown(number: float) -> str:
        return fixed(scale * number, 1) if scale != 1 else significant(number)

    return with_note(shown(value.mean), f"{shown(value.low)} to {shown(value.high)}") if several else shown(value.mean)
