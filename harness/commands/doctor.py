"""`doctor`: what this machine has and lacks, also where packages are missing."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from harness.commands.places import add_data_root, add_store


def add(commands: Any) -> None:
    doctor = commands.add_parser("doctor", help="what this machine has and lacks; status 1 if it cannot run `quick`")
    add_store(doctor)
    doctor.add_argument("--results", type=Path, default="results", help="default: results")
    add_data_root(doctor)
    doctor.set_defaults(run=diagnose)


def diagnose(arguments: argparse.Namespace) -> None:
    from harness.doctor.command import examine

    if not examine(arguments.store, arguments.results, arguments.data_root):
        sys.exit(1)
