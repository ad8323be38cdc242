"""Reads the tables behind the evidence, and says in one line what is wrong with one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from harness.errors import HarnessError


class TableError(HarnessError):
    """A table that cannot be shown. The report says so at its place and goes on."""


ABOUT = ("role", "model", "seed", "of", "study", "at", "probe", "after")  # what every table says of itself


def read_table(path: Path) -> pd.DataFrame:
    """A parquet file of a results folder, rows in its order.

    Raises:
        TableError: the file is missing, damaged or empty, or does not say what it holds.
    """
    if not path.is_file():
        raise TableError(f"{path.name} is missing")
    try:
        table = pd.read_parquet(path)
    except Exception as error:  # a damaged file can fail anywhere in the decoder, with any exception
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TableError(f"{path.name} is damaged: {cause}") from error
    check_columns(table, path.name, ABOUT)
    if table.empty:
        raise TableError(f"{path.name} has no rows")
    return table


def check_columns(table: pd.DataFrame, name: str, wanted: Iterable[str]) -> None:
    if absent := [column for column in wanted if column not in table]:
        raise TableError(f"{name} has no column {', '.join(absent)}; it has {', '.join(map(str, table))}")


def chosen_columns(table: pd.DataFrame, name: str, numeric: tuple[str, ...], text: tuple[str, ...]) -> pd.DataFrame:
    """The columns that a figure needs, as numbers and as text; `name` is the file's.

    Raises:
        TableError: a column is missing or of the wrong type.
    """
    check_columns(table, name, (*text, *numeric))
    for column in numeric:
        if not (pd.api.types.is_numeric_dtype(table[column]) or pd.api.types.is_bool_dtype(table[column])):
            raise TableError(f"{name}: column {column} holds {table[column].dtype}, not numbers")
    columns = {column: table[column].astype(float) for column in numeric}
    return pd.DataFrame({**{column: table[column].astype(str) for column in text}, **columns})


def weighted_mean(table: pd.DataFrame, by: list[str], value: str, weight: str) -> pd.DataFrame:
    """Mean of `value` within each group of `by`, each row counting `weight` times; rows without a finite value drop
    out, groups come sorted.
    """
    rows = table[np.isfinite(table[value]) & (table[weight] > 0)]
    sums = rows.assign(_product=rows[value] * rows[weight]).groupby(by, as_index=False)[["_product", weight]].sum()
    return sums.assign(**{value: sums["_product"] / sums[weight]})[[*by, value]]
