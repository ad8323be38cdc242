"""`store`: what a store holds; weights that nothing wants; another store."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from harness.commands.places import add_store, catalogue
from harness.errors import HarnessError


def add(commands: Any) -> None:
    upkeep = commands.add_parser("store", help="what a store holds; remove weights that nothing wants; take in another")
    add_store(upkeep)
    upkeep.set_defaults(run=keep)
    what = upkeep.add_subparsers(dest="upkeep")
    strip = what.add_parser("strip", help="remove weights; measurements stay, and nothing that is measured needs them")
    strip.add_argument(
        "--for",
        dest="profiles",
        action="append",
        metavar="PROFILE",
        help="keep what this profile has still to measure, and remove the states of all other runs too",
    )
    take = what.add_parser("take", help="copy what another store, or a results folder, has and this one lacks")
    take.add_argument("other", type=Path, help="a store; or a results folder, which has measurements and no weights")


def keep(arguments: argparse.Namespace) -> None:
    from harness.judging.again import load_tests
    from harness.plan.profile import load_profile
    from harness.store import Store
    from harness.upkeep import PARTS, contents, strip, take_in, take_measurements, wanted_by

    store = Store(arguments.store)
    if not arguments.store.is_dir() and arguments.upkeep != "take":
        raise HarnessError(f"no store in {arguments.store}; give one with --store or REPRO_STORE")
    if arguments.upkeep == "strip":
        wanted = None
        if arguments.profiles:
            claims = catalogue()
            tests = load_tests(claims.path.parent)
            wanted = set().union(*(wanted_by(load_profile(name), tests, claims, store) for name in arguments.profiles))
        gone = strip(store, wanted)
        print(f"removed {gone.count:,} weights and states, {gone.bytes / 1e6:,.1f} MB")
    elif arguments.upkeep == "take":
        of_results = (arguments.other / "evidence").is_dir()
        came = take_measurements(store, arguments.other) if of_results else take_in(store, Store(arguments.other))
        print("took in " + (", ".join(f"{share.count:,} {share.part}" for share in came) or "nothing: it is all here"))
    for share in contents(store):
        print(f"{share.part:<9}{share.count:>7,}{share.bytes / 1e6:>12,.1f} MB  {PARTS[share.part]}")
