"""`python -m harness`: what needs no test session. `report` rebuilds a report from its evidence, anywhere, without
torch, and `summary` prints it in a page of Markdown; `judge` draws its verdicts again; `compare` puts two result sets
side by side; `models` lists networks; `train` trains one run, under torchrun on several GPUs; `buildup` builds MSAs
into a CNN; `store` says what a store holds and removes what nothing wants; `doctor` what this machine has and lacks.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError, Stopped, nearest
from models.errors import ModelError, UnknownModel

if TYPE_CHECKING:  # `doctor` answers where packages are missing
    from harness.plan.catalogue import Catalogue

CATALOGUE = Path(__file__).parent.parent / "claims" / "catalogue.toml"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m harness", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    report = commands.add_parser("report", help="rebuild report.html of a results folder")
    report.add_argument("results", type=Path, help="e.g. results/quick")
    summary = commands.add_parser("summary", help="print the report of a results folder in a page of Markdown")
    summary.add_argument("results", type=Path, help="e.g. results/quick")
    judge = commands.add_parser("judge", help="draw every verdict of a results folder again, from its tables alone")
    judge.add_argument("results", type=Path, help="e.g. results/quick")
    judge.add_argument("--to", type=Path, metavar="DIR", help="write the evidence of today there, for `compare`")
    _add_compare(commands)
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
    train.add_argument("--seed", type=int, default=0, help="default: 0")
    store, data = os.environ.get("REPRO_STORE") or "results/store", os.environ.get("REPRO_DATA") or None
    train.add_argument("--store", type=Path, default=store, help="or REPRO_STORE; default: results/store")
    train.add_argument(
        "--data-root", type=Path, default=data, help="data sets in DIR/<name>/ instead of the hub (or REPRO_DATA)"
    )
    train.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    _add_buildup(commands, store, data)
    _add_store(commands, store)
    _add_doctor(commands, store, data)
    arguments = parser.parse_args()
    try:
        if arguments.command == "train":
            from harness.engine.alone import train_one

            train_one(arguments)
        elif arguments.command == "buildup":
            _buildup(arguments)
        elif arguments.command == "store":
            _store(arguments)
        elif arguments.command == "doctor":
            _doctor(arguments)
        elif arguments.command == "report":
            _report(arguments.results)
        elif arguments.command == "summary":
            _summary(arguments.results)
        elif arguments.command == "judge":
            _judge(arguments.results, arguments.to)
        elif arguments.command == "compare":
            _compare(arguments.before, arguments.after)
        else:
            _models(arguments.pattern, arguments.image_size, arguments.classes)
    except Stopped as stopped:
        sys.exit(str(stopped))
    except (HarnessError, ModelError) as error:
        sys.exit(f"error: {error}")


def _add_compare(commands: Any) -> None:
    compare = commands.add_parser(
        "compare",
        help="which verdicts and effects changed between two result sets; status 1 on a regression",
        description="""\
which verdicts and effects changed from one result set to another

Where both hold the same runs (run ids and seeds), their effects are compared seed by seed; else by the difference of
two means with their errors. All effects together err in 5 % (Holm). What chance explains is no change.

The status is 1 where there is a regression:
- a verdict turned into its opposite;
- a decided verdict is gone though there are as many seeds, and more than chance took it: a deciding effect shifted, a
  premise no longer holds, or the very same runs no longer bear it; or a fault keeps it from being judged;
- an effect shifted against the claim.
A rule that is another one is named. Else the status is 0.""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    compare.add_argument("before", type=Path, metavar="A", help="a results folder, or its evidence")
    compare.add_argument("after", type=Path, metavar="B", help="likewise")


def _add_buildup(commands: Any, store: Any, data: Any) -> None:
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
    buildup.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    buildup.add_argument("--store", type=Path, default=store, help="or REPRO_STORE; default: results/store")
    buildup.add_argument("--data-root", type=Path, default=data, help="data sets in DIR/<name>/ (or REPRO_DATA)")
    buildup.add_argument("--results", type=Path, help="default: results/buildup-<model>-<dataset>")


def _buildup(arguments: argparse.Namespace) -> None:
    import time

    from harness.buildup.command import Wish, build_up_network
    from harness.engine.precision import in_fast_precision
    from harness.engine.stop import Stop, stop_on_signals
    from harness.options import absolute_subject, seconds
    from harness.plan.profile import load_profile
    from harness.plan.run import SUBJECT, ModelSpec
    from harness.session import cores

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


def _add_store(commands: Any, store: Any) -> None:
    upkeep = commands.add_parser("store", help="what a store holds; remove weights that nothing wants; take in another")
    upkeep.add_argument("--store", type=Path, default=store, help="or REPRO_STORE; default: results/store")
    what = upkeep.add_subparsers(dest="upkeep")
    strip = what.add_parser("strip", help="remove weights; measurements stay, and nothing that is measured needs them")
    strip.add_argument(
        "--for",
        dest="profiles",
        action="append",
        metavar="PROFILE",
        help="keep what this profile has still to measure, and remove the states of all other runs too",
    )
    what.add_parser("take", help="copy what another store has and this one lacks").add_argument("other", type=Path)


def _store(arguments: argparse.Namespace) -> None:
    from harness.judging.again import load_tests
    from harness.plan.profile import load_profile
    from harness.store import Store
    from harness.upkeep import PARTS, contents, strip, take_in, wanted_by

    store = Store(arguments.store)
    if not arguments.store.is_dir() and arguments.upkeep != "take":
        raise HarnessError(f"no store in {arguments.store}; give one with --store or REPRO_STORE")
    if arguments.upkeep == "strip":
        wanted = None
        if arguments.profiles:
            tests = load_tests(_catalogue().path.parent)
            wanted = set().union(*(wanted_by(load_profile(name), tests, store) for name in arguments.profiles))
        gone = strip(store, wanted)
        print(f"removed {gone.count:,} weights and states, {gone.bytes / 1e6:,.1f} MB")
    elif arguments.upkeep == "take":
        came = take_in(store, Store(arguments.other))
        print("took in " + (", ".join(f"{share.count:,} {share.part}" for share in came) or "nothing: it is all here"))
    for share in contents(store):
        print(f"{share.part:<9}{share.count:>7,}{share.bytes / 1e6:>12,.1f} MB  {PARTS[share.part]}")


def _add_doctor(commands: Any, store: Any, data: Any) -> None:
    doctor = commands.add_parser("doctor", help="what this machine has and lacks; status 1 if it cannot run `quick`")
    doctor.add_argument("--store", type=Path, default=store, help="or REPRO_STORE; default: results/store")
    doctor.add_argument("--results", type=Path, default="results", help="default: results")
    doctor.add_argument("--data-root", type=Path, default=data, help="data sets in DIR/<name>/ (or REPRO_DATA)")


def _doctor(arguments: argparse.Namespace) -> None:
    from harness.doctor.command import examine

    if not examine(arguments.store, arguments.results, arguments.data_root):
        sys.exit(1)


def _report(results: Path) -> None:
    from harness import report

    _needs_evidence(results)
    catalogue = _catalogue()
    path = report.build(results, catalogue)
    print(report.verdict_table(results, catalogue))
    print(f"report: {path}")


def _summary(results: Path) -> None:
    from harness import report

    _needs_evidence(results)
    print(report.short(results, _catalogue()), end="")


def _compare(before: Path, after: Path) -> None:
    """Say what changed; the status is 1 on a regression."""
    from harness.judging.comparison import compare, read_set
    from harness.report.changes import changes

    comparison = compare(read_set(before), read_set(after))
    print(changes(comparison), end="")
    if comparison.regressions:
        sys.exit(1)


def _judge(results: Path, to: Path | None) -> None:
    """Say which verdicts are others today, and why; then the status is 1."""
    from harness.judging.again import judge_again, load_tests
    from harness.judging.evidence import write_evidence

    _needs_evidence(results)
    catalogue = _catalogue()
    cases = list(judge_again(results, catalogue, load_tests(catalogue.path.parent)))
    for case in cases:
        today = case.verdict or "cannot be judged"
        print(f"{f'{case.claim} {case.case}':<30} {today if not case.changed else f'{case.before} -> {today}'}")
        for reason in case.why:
            print(f"{'':<30} {reason}")
        if to and case.evidence:
            write_evidence(to, case.case, case.evidence)
    changed = sum(case.changed for case in cases)
    print(f"{len(cases)} cases: {len(cases) - changed} verdicts as in the evidence, {changed} others")
    if changed:
        sys.exit(1)


def _needs_evidence(results: Path) -> None:
    if not (results / "evidence").is_dir():
        raise HarnessError(f"no evidence in {results}; run the claims first: make reproduce PROFILE=<name>")


def _catalogue() -> Catalogue:
    """That of the project in the current folder, or the one that is installed beside this package."""
    from harness.plan.catalogue import load_catalogue

    here = Path("claims", "catalogue.toml")
    return load_catalogue(here if here.is_file() else CATALOGUE)


def _models(pattern: str, image_size: int, classes: int) -> None:
    from models import describe, list_models

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


if __name__ == "__main__":
    main()
