"""`python -m harness report FOLDER`: rebuild a report from its evidence, anywhere, without torch."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from harness.catalogue import load_catalogue
from harness.errors import HarnessError

CATALOGUE = Path(__file__).parent.parent / "claims" / "catalogue.toml"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m harness", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    report = commands.add_parser("report", help="rebuild report.html of a results folder")
    report.add_argument("results", type=Path, help="e.g. results/quick")
    arguments = parser.parse_args()
    try:
        _report(arguments.results)
    except HarnessError as error:
        sys.exit(f"error: {error}")


def _report(results: Path) -> None:
    from harness import report

    if not (results / "evidence").is_dir():
        raise HarnessError(f"no evidence in {results}; run the claims first: make reproduce PROFILE=<name>")
    catalogue = load_catalogue(CATALOGUE)
    path = report.build(results, catalogue)
    print(report.verdict_table(results, catalogue))
    print(f"report: {path}")


if __name__ == "__main__":
    main()
