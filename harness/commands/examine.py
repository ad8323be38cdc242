"""`examine`: any networks under the suite's probes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from harness.commands.places import add_data_root, add_device, add_store


def add(commands: Any) -> None:
    examine = commands.add_parser(
        "examine",
        help="the paper's analysis of any networks, beside each other: a page, figures and tables",
        description="""\
the paper's analysis of any networks, beside each other: spectrum by depth, variance, CKA, lesions, noise bands; with
labels also metrics, corruptions, Hessian and landscape

A network alone gets a ResNet and a ViT of about its size beside it. Labels are the subfolders of a folder of images
(called by wnid for ImageNet's classes), <file>-labels.npy beside a .npy file, or the data set's own.""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    examine.add_argument(
        "models",
        nargs="+",
        metavar="MODEL",
        help="a name of `models`, timm/<any>, path/to/file.py:factory or package.module:factory",
    )
    examine.add_argument(
        "--images",
        required=True,
        metavar="WHERE",
        help="a folder, a .npy file of uint8 images, or a data set, e.g. cifar10",
    )
    examine.add_argument("--pretrained", action="store_true", help="timm's weights, from its cache or the network")
    examine.add_argument(
        "--checkpoint", action="append", default=[], metavar="FILE", help="weights; one a MODEL in order, - for none"
    )
    examine.add_argument("--number", type=int, metavar="N", help="of images (default: 64 of 224 px, more of smaller)")
    examine.add_argument("--image-size", type=int, metavar="PX", help="side (default: what timm's networks expect)")
    examine.add_argument("--classes", type=int, metavar="N", help="outputs (default: as weights or labels have them)")
    examine.add_argument("--mean", type=numbers, metavar="A,B,C", help="of the standardisation, of pixels in 0 to 1")
    examine.add_argument("--std", type=numbers, metavar="A,B,C", help="likewise")
    examine.add_argument("--alone", action="store_true", help="nothing beside a single MODEL")
    examine.add_argument("--results", type=Path, help="default: results/examine-<model>")
    add_device(examine)
    add_store(examine)
    add_data_root(examine)
    examine.set_defaults(run=examine_networks)


def numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def examine_networks(arguments: argparse.Namespace) -> None:
    from harness.engine.stop import Stop, stop_on_signals
    from harness.errors import HarnessError
    from harness.examine.command import Wish, examine
    from harness.examine.subjects import short_name
    from harness.options import absolute_subject

    for option in ("number", "image_size", "classes"):
        if (value := getattr(arguments, option)) is not None and value < 1:
            raise HarnessError(f"--{option.replace('_', '-')} {value}: expected a positive number")
    models = [absolute_subject(each, Path.cwd()) if ":" in each else each for each in arguments.models]
    wish = Wish(
        models,
        arguments.images,
        arguments.pretrained,
        arguments.checkpoint,
        arguments.number,
        arguments.image_size,
        arguments.classes,
        arguments.mean,
        arguments.std,
        arguments.alone,
        arguments.results or Path("results", f"examine-{short_name(arguments.models[0])}"),
        arguments.store,
        arguments.data_root,
        arguments.device,
    )
    with stop_on_signals(Stop(None)) as stop:
        print(f"page: {examine(wish, stop)}")
