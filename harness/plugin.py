"""pytest glue: options, one test item a case, and verdicts as test outcomes. The work is done in `harness.session`.

`reproduced` passes, `contradicted` and `negligible` fail, `inconclusive`, `out of scope` and `not run` skip (with
--strict they fail), and a fault of the harness is an error. Exit status of pytest: 0, or 1 if something was
contradicted or negligible, or 3 if there was an error or no case got a verdict though nobody asked to stop; a stop by
--budget or a signal is in order, and 0.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HarnessError, nearest
from harness.judging.dossier import Dossier
from harness.judging.effects import Effects
from harness.judging.evidence import Evidence, PremiseRecord
from harness.judging.looks import Look
from harness.judging.properties import properties
from harness.judging.trial import Test, Trial
from harness.judging.verdict import unmet
from harness.judging.weigh import weigh
from harness.options import add_options, open_session, wanted_claims
from harness.plan.case import Case, expand
from harness.session import NotRun, Session

SESSION = pytest.StashKey[Session]()
ROLES = pytest.StashKey[set[str]]()  # that the collected claims name
EFFECTS = pytest.StashKey[Effects]()
TRIAL = pytest.StashKey[tuple[Trial, Look]]()
DOSSIER = pytest.StashKey[Dossier]()
NOT_RUN = pytest.StashKey[str]()  # why
OUT_OF_SCOPE = pytest.StashKey[PremiseRecord]()
VERDICT = pytest.StashKey[str]()
LINES = pytest.StashKey[list[str]]()  # below the tests
HARNESS_ERROR = 3


@dataclass(frozen=True)
class Uncast:
    """Stands in the place of a case where nobody plays one of its roles.

    Attributes:
        missing: who, in words.
    """

    missing: str


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser.getgroup("reproduction", "claims of How Do Vision Transformers Work?"))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "claim(id, roles, probes, part=None): judges a claim of claims/catalogue.toml; wants the fixture `claim`",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Profile and catalogue are read before anything is collected, so that a wrong name is one line."""
    config = session.config
    config.stash[ROLES] = set()
    try:
        config.stash[SESSION] = open_session(config)
        for claim in wanted_claims(config):
            config.stash[SESSION].catalogue[claim]
    except HarnessError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("claim")
    if marker is None or "claim" not in metafunc.fixturenames:
        return
    session = metafunc.config.stash[SESSION]
    (claim,), wants = marker.args, marker.kwargs
    part = wants.get("part")
    metafunc.config.stash[ROLES].update(role if isinstance(role, str) else role.of for role in wants["roles"])
    session.catalogue[claim].rule(part)
    cases, missing = expand(claim, part, wants["roles"], wants["probes"], session.profile)
    if metafunc.config.getoption("untrained"):
        cases = [case.control for case in cases]
    if missing:
        metafunc.parametrize("claim", [pytest.param(Uncast(missing[0]), id="no model")], indirect=True)
    else:
        metafunc.parametrize("claim", cases, ids=[case.name for case in cases], indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """`--claim`: exact ids, where `-k` takes whatever has them in its name. Without it, what the profile judges."""
    wanted = wanted_claims(config)
    if not wanted:
        _keep(config, items, [item for item in items if _is_judged(item, config.stash[SESSION])])
        return
    there = {claim: [item for item in items if _claim_of(item) == claim] for claim in wanted}
    for claim, found in there.items():
        if not found:
            reason = config.stash[SESSION].catalogue[claim].not_run or "nothing of what was collected judges it"
            raise pytest.UsageError(f"--claim {claim}: there is no test for it here: {reason}")
    _keep(config, items, [item for item in items if _claim_of(item) in wanted])


def _keep(config: pytest.Config, items: list[pytest.Item], chosen: list[pytest.Item]) -> None:
    if others := [item for item in items if item not in chosen]:
        config.hook.pytest_deselected(items=others)
        items[:] = chosen


def _is_judged(item: pytest.Item, session: Session) -> bool:
    """Whether it is a claim that the profile is made for, or no claim at all."""
    claim = _claim_of(item)
    marker = item.get_closest_marker("claim")
    return claim is None or marker is None or session.profile.judges(claim, marker.kwargs.get("part"))


def pytest_report_collectionfinish(config: pytest.Config, start_path: Path, items: list[pytest.Item]) -> list[str]:
    """What claims are judged with; nothing where none was collected."""
    if config.get_verbosity() < 0 or not any(map(_claim_of, items)):
        return []
    session = config.stash[SESSION]
    options = session.options

    def short(path: Path) -> str:
        return str(path.relative_to(start_path) if path.is_relative_to(start_path) else path)

    data = f"data sets in {short(options.data_root)}" if options.data_root else "data sets of the Hugging Face hub"
    return [
        f"profile {session.profile.name}, device {options.device}, {data}",
        f"results in {short(options.results)}, store {short(options.store)}",
        *([session.remark] if session.remark else []),
    ]


def _claim_of(item: pytest.Item) -> str | None:
    """The claim that a test judges."""
    marker = item.get_closest_marker("claim")
    return marker.args[0] if marker and "claim" in getattr(item, "fixturenames", ()) else None


def _case_of(item: pytest.Item) -> Case | None:
    callspec = getattr(item, "callspec", None)
    found = callspec.params.get("claim") if callspec else None
    return found if isinstance(found, Case) else None


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Before the first test: compute what the selected ones need. With --plan: say what that is, and run nothing."""
    if not any(map(_claim_of, session.items)) or session.config.option.collectonly or session.testsfailed:
        return None
    cases = [(case, _test_of(item)) for item in session.items if (case := _case_of(item))]
    networks = [(case, test) for case, test in cases if case.roles]
    reproduction = session.config.stash[SESSION]
    capture = session.config.pluginmanager.getplugin("capturemanager")
    try:
        _check_roles(reproduction, session.config.stash[ROLES])
        with capture.global_and_fixture_disabled():
            print()
            if session.config.getoption("plan"):
                print(reproduction.describe_plan(networks))
                return True
            if cases:
                reproduction.claim_folders(networks)
                reproduction.compute(networks)
    except HarnessError as error:
        raise pytest.UsageError(str(error)) from error
    return None


def _test_of(item: pytest.Item) -> Test:
    """The test's own function, which measures the effects of whatever case it is given."""
    function: Test = item.function  # type: ignore[attr-defined]  # an item with a callspec is a pytest.Function
    return function


def _check_roles(session: Session, wanted: set[str]) -> None:
    """A misspelt role or study of a profile would leave its claims unjudged without a word."""
    profile, claims = session.profile, session.catalogue.claims.values()
    known = wanted | {role for claim in claims for role in claim.models}
    for role in profile.roles:
        if role not in known:
            raise HarnessError(f"profile {profile.name}: no claim knows the role {role!r}; {nearest(role, known)}")
    studies = {name for claim in claims for name in claim.studies}
    for role, variant in profile.variants.items():
        if variant.study is not None and variant.study not in studies:
            hint = nearest(variant.study, studies)
            raise HarnessError(
                f"profile {profile.name}, variants.{role}: no claim has the study {variant.study!r}; {hint}"
            )


@pytest.fixture
def claim(request: pytest.FixtureRequest) -> Effects | None:
    """The claim on a case, whose effects its test measures; None where it is not going to be run."""
    session = request.config.stash[SESSION]
    if isinstance(request.param, Uncast):
        request.node.stash[NOT_RUN] = f"not run: profile {session.profile.name} has no {request.param.missing}"
        return None
    path, line, _ = request.node.location
    dossier = request.node.stash[DOSSIER] = session.dossier(request.param, f"{path}:{(line or 0) + 1}")
    if premise := session.out_of_scope(request.param):
        request.node.stash[OUT_OF_SCOPE] = premise
        return None
    failure = None
    test = _test_of(request.node)
    try:
        look = session.look(request.param, test)
    except (NotRun, HarnessError) as reason:
        failure = reason
    if isinstance(failure, HarnessError):
        _record(request.node, dossier.not_run(str(failure), fault=True))
        pytest.fail(str(failure), pytrace=False)
    if failure is not None:
        said = f"not run: {failure}"
        if earlier := dossier.earlier():
            said += f"; the verdict of {earlier.provenance.started[:10]} stays: {earlier.spoken}"
        else:
            _record(request.node, dossier.not_run(str(failure)))
        request.node.stash[NOT_RUN] = said
        return None
    trial = session.trial(request.param, test)
    request.node.stash[TRIAL] = trial, look
    effects = request.node.stash[EFFECTS] = trial.effects(look)
    return effects


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """A verdict becomes the outcome of the test, and leaves its evidence."""
    if reason := pyfuncitem.stash.get(NOT_RUN, None):
        _skip_or_fail(pyfuncitem.config, reason)
    if premise := pyfuncitem.stash.get(OUT_OF_SCOPE, None):
        pyfuncitem.stash[VERDICT] = "out of scope"
        _record(pyfuncitem, pyfuncitem.stash[DOSSIER].out_of_scope(premise))
        _skip_or_fail(pyfuncitem.config, f"out of scope: {unmet([premise])}")
    result = yield
    effects = pyfuncitem.stash.get(EFFECTS, None)
    if effects is not None:
        trial, look = pyfuncitem.stash[TRIAL]
        judged = weigh(effects, trial.control(look), look)
        evidence = pyfuncitem.stash[DOSSIER].judged(judged)
        _record(pyfuncitem, evidence)
        pyfuncitem.stash[VERDICT] = judged.verdict
        said = f"{evidence.spoken}: {judged.reason}"
        if judged.verdict in ("contradicted", "negligible"):
            pytest.fail(said, pytrace=False)
        if judged.verdict != "reproduced":
            _skip_or_fail(pyfuncitem.config, said)
    return result


def _record(item: pytest.Item, evidence: Evidence) -> None:
    """For pytest's XML, which takes an item's properties when its teardown is done, whatever became of the test."""
    item.user_properties += properties(item.stash[DOSSIER].case.name, evidence)


def _skip_or_fail(config: pytest.Config, reason: str) -> None:
    # Set by pytest's --strict from wherever it comes, not by its ini option of that name, which is about markers.
    if config.getoption("strict", False):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Whatever a claim's test raises besides its verdict is a fault of the harness: an error, never a verdict."""
    report = yield
    report.claim, report.has_case = _claim_of(item), _case_of(item) is not None
    report.verdict = item.stash.get(VERDICT, None)
    if report.claim and report.skipped:
        case = _case_of(item)
        reason = report.longrepr[2].removeprefix("Skipped: ")
        said = f"Skipped: {' '.join([report.claim, *([case.name] if case else [])])}: {reason}"
        report.longrepr = (str(item.path), (item.location[1] or 0) + 1, said)
    if not (report.claim and report.failed):
        return report
    error = call.excinfo.value if call.excinfo else None
    verdict = call.when == "call" and isinstance(error, pytest.fail.Exception)
    report.harness_error = not verdict
    # In setup, too: to know which look it is to judge, the test has measured the earlier ones.
    if report.harness_error and call.when != "teardown" and not isinstance(error, pytest.fail.Exception):
        if isinstance(error, HarnessError):
            report.longrepr = str(error)
        if dossier := item.stash.get(DOSSIER, None):
            try:
                _record(item, dossier.not_run(str(error), fault=True))
            except HarnessError as second:
                report.longrepr = f"{report.longrepr}\n{second}"
    return report


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    if getattr(report, "harness_error", False) and report.when == "call":
        return "error", "E", "ERROR"
    return None


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """The report, rebuilt from all evidence in the results folder, and the exit status that the cases make."""
    # Hypothesis's plugin imports all of hypothesis at the end of every session, a second; claims do not use it.
    plugins = session.config.pluginmanager
    if "hypothesis" not in sys.modules and plugins.has_plugin("hypothesispytest"):
        plugins.unregister(name="hypothesispytest")
    reports = _reports(session.config)
    if not reports:
        return
    reproduction, lines = session.config.stash[SESSION], []
    fault = any(getattr(report, "harness_error", False) for report in reports)
    try:
        if any(report.has_case for report in reports):
            lines = _verdicts(reproduction)
    except HarnessError as error:
        lines, fault = [f"ERROR: {error}"], True
    skips = [report.longrepr[2] for report in reports if report.skipped]
    if skips and not (any(report.verdict for report in reports) or reproduction.outcome.stopped or fault):
        lines.append(f"ERROR: no case got a verdict; the first one: {skips[0].removeprefix('Skipped: ')}")
        fault = True
    session.config.stash[LINES] = lines
    if fault and exitstatus in (0, 1):
        session.exitstatus = HARNESS_ERROR


def _reports(config: pytest.Config) -> list[Any]:
    """Of the tests of claims: those that count in pytest's last line."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    stats = reporter.stats.items() if reporter else ()
    return [report for kind, found in stats if kind for report in found if getattr(report, "claim", None)]


def _verdicts(session: Session) -> list[str]:
    from harness import report

    path = report.build(session.options.results, session.catalogue)
    return [report.verdict_table(session.options.results, session.catalogue), f"report: {path}"]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The verdict table, and where the report is."""
    lines = config.stash.get(LINES, None)
    if lines:
        terminalreporter.section(f"verdicts, profile {config.stash[SESSION].profile.name}")
        for line in lines:
            terminalreporter.write_line(line, red=line.startswith("ERROR"))
