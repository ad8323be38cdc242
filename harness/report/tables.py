"""Reads the tables behind the evidence, and says in one line what is wrong with one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from harness.errors import HarnessError


class TableError(HarnessError):
    """A table that cannot be shown. The report says so at its place and goes on."""


def read_table(path: Path, numeric: tuple[str, ...], text: tuple[str, ...]) -> pd.DataFrame:
    """The named columns of a parquet file, rows in the file's order.

    Raises:
        TableError: the file is missing, damaged or empty, or a column is missing or of the wrong type.
    """
    if not path.is_file():
        raise TableError(f"{path.name} is missing")
    try:
        table = pd.read_parquet(path)
    except Exception as error:  # a damaged file can fail anywhere in the decoder, with any exception
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TableError(f"{path.name} is damaged: {cause}") from error
    absent = [column for column in (*text, *numeric) if column not in table]
    if absent:
        raise TableError(f"{path.name} has no column {', '.join(absent)}; it has {', '.join(map(str, table))}")
    if table.empty:
        raise TableError(f"{path.name} has no rows")
    for column in numeric:
        if not (pd.api.types.is_numeric_dtype(table[column]) or pd.api.types.is_bool_dtype(table[column])):
            raise TableError(f"{path.name}: column {column} holds {table[column].dtype}, not numbers")
    columns = {column: table[column].astype(float) for column in numeric}
    return pd.DataFrame({**{column: table[column].astype(str) for column in text}, **columns})


def weighted_mean(table: pd.DataFrame, by: list[str], value: str, weight: str) -> pd.DataFrame:
    """Mean of `value` within each group of `by`, each row counting `weight` times; rows without a finite value drop
    out, groups come sorted.
    """
    rows = table[np.isfinite(table[value]) & (table[weight] > 0)]
    sums = rows.assign(_product=rows[value] * rows[weight]).groupby(by, as_index=False)[["_product", weight]].sum()
    return sums.assign(**{value: sums["_product"] / sums[weight]})[[*by, value]]
