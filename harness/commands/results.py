"""`report`, `summary`, `judge`, `compare`: of a results folder, anywhere, without torch."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from harness.commands.places import catalogue
from harness.errors import HarnessError


def add(commands: Any) -> None:
    report = commands.add_parser(
        "report", help="rebuild report.html of a results folder; of several, also their matrix"
    )
    report.add_argument("results", type=Path, nargs="+", help="e.g. results/quick")
    report.add_argument(
        "--to", type=Path, metavar="DIR", help="of several: where verdicts.html and verdicts.md go (default: here)"
    )
    report.set_defaults(run=report_again)
    summary = commands.add_parser("summary", help="print the report of a results folder in a page of Markdown")
    summary.add_argument("results", type=Path, help="e.g. results/quick")
    summary.set_defaults(run=summarise)
    judge = commands.add_parser("judge", help="draw every verdict of a results folder again, from its tables alone")
    judge.add_argument("results", type=Path, help="e.g. results/quick")
    judge.add_argument("--to", type=Path, metavar="DIR", help="write the evidence of today there, for `compare`")
    judge.set_defaults(run=judge_again)
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
    compare.set_defaults(run=compare_sets)


def report_again(arguments: argparse.Namespace) -> None:
    from harness import report

    claims, folders = catalogue(), [evidence_in(results) for results in arguments.results]
    for results in folders:
        path = report.build(results, claims)
        print(report.verdict_table(results, claims))
        print(f"report: {path}")
    if len(folders) > 1:
        print(f"all of them: {report.side_by_side(arguments.to or Path(), folders, claims)}")


def summarise(arguments: argparse.Namespace) -> None:
    from harness import report

    print(report.short(evidence_in(arguments.results), catalogue()), end="")


def compare_sets(arguments: argparse.Namespace) -> None:
    """Say what changed; the status is 1 on a regression."""
    from harness.judging.comparison import compare, read_set
    from harness.report.changes import changes

    comparison = compare(read_set(arguments.before), read_set(arguments.after))
    print(changes(comparison), end="")
    if comparison.regressions:
        sys.exit(1)


def judge_again(arguments: argparse.Namespace) -> None:
    """Say which verdicts are others today, and why; then the status is 1."""
    from harness.judging import again
    from harness.judging.evidence import write_evidence

    results, claims = evidence_in(arguments.results), catalogue()
    cases = list(again.judge_again(results, claims, again.load_tests(claims.path.parent)))
    for case in cases:
        today = case.verdict or "cannot be judged"
        print(f"{f'{case.claim} {case.case}':<30} {today if not case.changed else f'{case.before} -> {today}'}")
        for reason in case.why:
            print(f"{'':<30} {reason}")
        if arguments.to and case.evidence:
            write_evidence(arguments.to, case.case, case.evidence)
    changed = sum(case.changed for case in cases)
    many, same = len(cases), len(cases) - changed
    print(f"{many} case{'s' * (many != 1)}: {same} verdict{'s' * (same != 1)} as in the evidence, {changed} others")
    if changed:
        sys.exit(1)


def evidence_in(results: Path) -> Path:
    """The same folder.

    Raises:
        HarnessError: nothing was judged there.
    """
    if not (results / "evidence").is_dir():
        raise HarnessError(f"no evidence in {results}; run the claims first: make reproduce PROFILE=<name>")
    return results
