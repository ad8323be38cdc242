"""`python -m harness`: what needs no test session. `report` rebuilds a report from its evidence, anywhere, without
torch; `models` lists networks; `train` trains one run, under torchrun on several GPUs.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from harness.errors import HarnessError, nearest
from harness.plan.catalogue import load_catalogue
from models.errors import ModelError

CATALOGUE = Path(__file__).parent.parent / "claims" / "catalogue.toml"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m harness", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    report = commands.add_parser("report", help="rebuild report.html of a results folder")
    report.add_argument("results", type=Path, help="e.g. results/quick")
    models = commands.add_parser("models", help="list networks: parameters, multiply-adds, units by kind, source")
    models.add_argument("pattern", nargs="?", default="*", help="a shell pattern, e.g. 'alter_*', or timm/<name>")
    models.add_argument("--image-size", type=int, default=32, metavar="PX", help="side of the images (default: 32)")
    models.add_argument("--classes", type=int, default=100, metavar="N", help="outputs (default: 100)")
    train = commands.add_parser(
        "train", help="train one run; with torchrun --nproc-per-node N -m harness train, on N GPUs"
    )
    train.add_argument("--profile", required=True, help="a name or a TOML file")
    train.add_argument("--role", required=True, help="whose network, e.g. resnet")
    train.add_argument("--dataset", help="default: the profile's first")
    train.add_argument("--seed", type=int, help="default: the profile's first")
    train.add_argument("--store", type=Path, help="or REPRO_STORE; default: results/store")
    train.add_argument("--data-root", type=Path, help="data sets in DIR/<name>/ instead of the hub; or REPRO_DATA")
    train.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    arguments = parser.parse_args()
    try:
        if arguments.command == "train":
            from harness.engine.alone import train_one

            train_one(arguments)
        elif arguments.command == "report":
            _report(arguments.results)
        else:
            _models(arguments.pattern, arguments.image_size, arguments.classes)
    except (HarnessError, ModelError) as error:
        sys.exit(f"error: {error}")


def _report(results: Path) -> None:
    from harness import report

    if not (results / "evidence").is_dir():
        raise HarnessError(f"no evidence in {results}; run the claims first: make reproduce PROFILE=<name>")
    catalogue = load_catalogue(CATALOGUE)
    path = report.build(results, catalogue)
    print(report.verdict_table(results, catalogue))
    print(f"report: {path}")


def _models(pattern: str, image_size: int, classes: int) -> None:
    from models import describe, list_models

    names = [pattern] if pattern.startswith("timm/") else list_models(pattern)
    if not names:
        raise HarnessError(f"no model matches {pattern!r}; {nearest(pattern, list_models())}")
    print(f"{'name':<26}{'parameters':>13}{'MACs':>11}  {'units':<44}source")
    for name in names:
        try:
            found = describe(name, num_classes=classes, image_size=image_size)
        except ModelError as error:
            print(f"{name:<26}{'':>13}{'':>11}  not for {image_size} px: {error}")
            continue
        units = ", ".join(f"{count} {kind}" for kind, count in found.units.items())
        print(f"{name:<26}{found.parameters:>13,}{found.macs / 1e6:>9,.1f} M  {units:<44}{found.source}")


if __name__ == "__main__":
    main()
