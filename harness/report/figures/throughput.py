"""Training images a second: of networks, and of an MSA block beside a convolution block of its stage (section 5)."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from harness.report.figures.correspondence import points
from harness.report.figures.dots import Measure, dot_panels
from harness.report.figures.style import Drawing, Paper, as_csv
from harness.report.tables import TableError, weighted_mean

NUMERIC = ("seed", "images", "images_per_second")
TEXT = ("role", "model", "what")
# The paper's are another device's: ours and theirs never share an axis.
RATE = Measure("throughput", "training images a second", "Training images a second", "", places=0, comparable=False)
NETWORK = "network"


def draw(table: pd.DataFrame, paper: Paper) -> list[Drawing]:
    """A row per role; then a row for each block that was timed within a network.

    Raises:
        TableError: no finite rate.
    """
    seeds = weighted_mean(table, ["role", "seed", "what"], "images_per_second", "images")
    if seeds.empty:
        raise TableError("throughput.parquet holds no finite rate")
    values = seeds.rename(columns={"images_per_second": RATE.quantity})
    models = table.drop_duplicates("role").set_index("role")["model"].to_dict()
    networks, blocks = (values[(values["what"] == NETWORK) == whole] for whole in (True, False))
    published = {role: points(paper, role, RATE.quantity) for role in models}
    caption = "Forward, backward and optimizer step on the device of the evidence; mean over the steps of each seed."
    if any(published.values()):
        caption += f" The paper's ({paper.figure}) are of its own device: only their ratio compares."
    panels = dot_panels(networks, models, published, RATE, paper)
    drawings = [Drawing("throughput", RATE.words, caption, panels, csv=as_csv(networks))]
    if not blocks.empty:
        drawings.append(of_blocks(blocks, models, paper))
    return drawings


def of_blocks(values: pd.DataFrame, models: dict[str, str], paper: Paper) -> Drawing:
    """Blocks stand in the place of roles, in the colour of their network's."""
    rows = {f"{role}, {what}": role for role, what in zip(values["role"], values["what"], strict=True)}
    colours = {name: paper.colour(role) for name, role in rows.items()}
    named = values.assign(role=values["role"] + ", " + values["what"])
    panels = dot_panels(
        named, {name: models[role] for name, role in rows.items()}, {}, RATE, replace(paper, colours=colours)
    )
    caption = "Forward and backward of the last MSA block and of the last convolution block on the same maps, in turns."
    return Drawing("throughput-blocks", "Images a second of one block", caption, panels, csv=as_csv(values))
