"""`models`: the networks that there are."""

from __future__ import annotations

import argparse
from typing import Any

from harness.errors import HarnessError, nearest
from models.errors import ModelError, UnknownModel


def add(commands: Any) -> None:
    models = commands.add_parser("models", help="list networks: parameters, multiply-adds, units by kind, source")
    models.add_argument("pattern", nargs="?", default="*", help="a shell pattern, e.g. 'alter_*', or timm/<name>")
    models.add_argument("--image-size", type=int, default=32, metavar="PX", help="side of the images (default: 32)")
    models.add_argument("--classes", type=int, default=100, metavar="N", help="outputs (default: 100)")
    models.set_defaults(run=list_networks)


def list_networks(arguments: argparse.Namespace) -> None:
    from models import describe, list_models

    pattern, image_size, classes = arguments.pattern, arguments.image_size, arguments.classes
    names = [pattern] if pattern.startswith("timm/") else list_models(pattern)
    if not names:
        raise HarnessError(f"no model matches {pattern!r}; {nearest(pattern, list_models())}")
    head = f"{'name':<26}{'parameters':>13}{'MACs':>11}  {'units':<44}source"
    for name in names:
        try:
            found = describe(name, num_classes=classes, image_size=image_size)
        except UnknownModel:
            raise
        except ModelError as error:
            row = f"{'':>13}{'':>11}  not for {image_size} px: {error}"
        else:
            units = ", ".join(f"{count} {kind}" for kind, count in found.units.items())
            row = f"{found.parameters:>13,}{found.macs / 1e6:>9,.1f} M  {units:<44}{found.source}"
        print(*([head] if name == names[0] else []), f"{name:<26}{row}", sep="\n", flush=True)
