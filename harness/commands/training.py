"""`train` and `buildup`: what trains without a test session."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from harness.commands.places import add_data_root, add_device, add_store


def add(commands: Any) -> None:
    train = commands.add_parser(
        "train", help="train one run; with torchrun --nproc-per-node N -m harness train, on N GPUs"
    )
    train.add_argument("--profile", required=True, help="a name or a TOML file")
    train.add_argument("--role", required=True, help="whose network, e.g. resnet")
    train.add_argument("--dataset", help="default: the profile's first")
    train.add_argument("--seed", type=int, default=0, help="default: 0")
    add_store(train)
    add_data_root(train)
    add_device(train)
    train.set_defaults(run=train_run)
    buildup = commands.add_parser(
        "buildup", help="build MSAs into a CNN by the paper's rules (section 4.1), choosing on held-out training images"
    )
    which = buildup.add_mutually_exclusive_group(required=True)
    which.add_argument("--model", help="e.g. preact_resnet_micro, or timm/<name>")
    which.add_argument("--subject", help="your own CNN: path/to/file.py:factory or package.module:factory")
    buildup.add_argument("--profile", default="quick", help="recipe, data and looks: a name or a TOML file")
    buildup.add_argument("--dataset", help="default: the profile's first")
    buildup.add_argument("--most", type=int, metavar="N", help="no more than N MSAs")
    buildup.add_argument("--seeds", type=int, metavar="N", help="no more than N seeds, though steps stay undecided")
    buildup.add_argument("--budget", metavar="TIME", help="stop in good order after e.g. 90s, 9m or 1h30m")
    add_device(buildup)
    add_store(buildup)
    add_data_root(buildup)
    buildup.add_argument("--results", type=Path, help="default: results/buildup-<model>-<dataset>")
    buildup.set_defaults(run=build_up)


def train_run(arguments: argparse.Namespace) -> None:
    from harness.engine.alone import train_one

    train_one(arguments)


def build_up(arguments: argparse.Namespace) -> None:
    import time

    from harness.buildup.command import Wish, build_up_network
    from harness.engine.precision import in_fast_precision
    from harness.engine.stop import Stop, stop_on_signals
    from harness.options import absolute_subject, seconds
    from harness.plan.profile import load_profile
    from harness.plan.run import SUBJECT, ModelSpec
    from harness.store.provenance import cores

    profile, remark = in_fast_precision(load_profile(arguments.profile).with_seeds(arguments.seeds), arguments.device)
    if remark:
        print(remark)
    subject = arguments.subject
    name = SUBJECT + absolute_subject(subject, Path.cwd()) if subject else arguments.model
    dataset, label = arguments.dataset or profile.datasets[0], (subject or name).rpartition(":")[2].replace("/", "-")
    wish = Wish(
        ModelSpec(name=name),
        profile,
        dataset,
        arguments.most,
        arguments.results or Path("results", f"buildup-{label}-{dataset}"),
        arguments.store,
        arguments.data_root,
        arguments.device,
        cores(),
    )
    budget = seconds(arguments.budget)
    with stop_on_signals(Stop(None if budget is None else time.monotonic() + budget)) as stop:
        build_up_network(wish, stop)
