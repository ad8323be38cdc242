"""Where a command finds things: options that several have, and the catalogue."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `doctor` answers where packages are missing
    from harness.plan.catalogue import Catalogue

CATALOGUE = Path(__file__).parents[2] / "claims" / "catalogue.toml"


def add_store(parser: argparse.ArgumentParser) -> None:
    store = os.environ.get("REPRO_STORE") or "results/store"
    parser.add_argument("--store", type=Path, default=store, help="or REPRO_STORE; default: results/store")


def add_data_root(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data-root",
        type=Path,
        default=os.environ.get("REPRO_DATA") or None,
        help="data sets in DIR/<name>/ instead of the hub (or REPRO_DATA)",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))


def catalogue() -> Catalogue:
    """That of the project in the current folder, or the one that is installed beside this package."""
    from harness.plan.catalogue import load_catalogue

    here = Path("claims", "catalogue.toml")
    return load_catalogue(here if here.is_file() else CATALOGUE)
