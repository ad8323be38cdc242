"""What can be asked for on pytest's command line, and the session that it asks for."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from harness.engine import ENGINES
from harness.engine.precision import in_fast_precision
from harness.errors import HarnessError
from harness.plan.catalogue import load_catalogue
from harness.plan.profile import load_profile
from harness.session import Options, Session


def add_options(group: pytest.OptionGroup) -> None:
    """Declare them."""
    group.addoption(
        "--profile", default="quick", metavar="NAME", help="how big: a name or a TOML file (default: quick)"
    )
    group.addoption("--data-root", metavar="DIR", help="data sets in DIR/<name>/ instead of the hub (or REPRO_DATA)")
    group.addoption(
        "--results", metavar="DIR", help="evidence, tables, report (default: results/<profile>[-<factory>])"
    )
    group.addoption(
        "--store", metavar="DIR", help="checkpoints and measurements (or REPRO_STORE; default: results/store)"
    )
    group.addoption(
        "--device", default="auto", choices=("auto", "cpu", "cuda"), help="where to compute (default: auto)"
    )
    group.addoption(
        "--engine", default="local", choices=ENGINES, help="this machine, or a Ray cluster (default: local)"
    )
    group.addoption(
        "--ray-address",
        metavar="HOST:PORT",
        help="of a running Ray cluster (or RAY_ADDRESS; default: one that is started on this machine)",
    )
    group.addoption("--jobs", type=int, metavar="N", help="runs side by side (default: one a CPU core, one a GPU)")
    group.addoption(
        "--budget", metavar="TIME", help="stop in good order after e.g. 90s, 9m or 1h30m; run again to go on"
    )
    group.addoption(
        "--seeds",
        type=int,
        metavar="N",
        help="no more than N seeds, though cases stay undecided (default: the profile's)",
    )
    group.addoption(
        "--untrained",
        action="store_true",
        help="the negative control: judge networks with random weights, of which no claim about training may hold",
    )
    group.addoption("--plan", action="store_true", help="print what would be computed and what it would cost, and stop")
    group.addoption(
        "--subject",
        metavar="MODULE:FACTORY",
        help="your own model in role vit; [role=]package.module:factory or [role=]path/to/file.py:factory, called with "
        "num_classes and image_size",
    )
    group.addoption("--claim", metavar="IDS", help="these claims only, e.g. L1,F2 (-k L1 also selects L10 to L19)")
    group.addoption("--checkpoint", metavar="FILE", help="weights of the subject, which is then not trained")
    # --strict is pytest's own option; for claims it also turns `inconclusive` and `not run` into failures.


def open_session(config: pytest.Config) -> Session:
    """The session that the options ask for; nothing is read but profile and catalogue.

    Raises:
        HarnessError: a wrong profile, catalogue or value of an option.
    """

    def path(option: str, variable: str | None = None) -> Path | None:
        given = config.getoption(option) or (os.environ.get(variable) if variable else None)
        return Path(config.invocation_params.dir, given) if given else None

    profile = load_profile(config.getoption("profile"))
    folder = profile.name
    if subject := config.getoption("subject"):
        profile = profile.with_subject(absolute_subject(subject, config.invocation_params.dir), path("checkpoint"))
        folder += f"-{subject.rpartition(':')[2]}"
    elif config.getoption("checkpoint"):
        raise HarnessError("--checkpoint needs --subject package.module:factory, the network that the weights are for")
    if config.getoption("untrained"):
        folder += "-untrained"
    profile, remark = in_fast_precision(
        profile.with_seeds(config.getoption("seeds")), config.getoption("device"), config.getoption("engine")
    )
    root = config.rootpath
    options = Options(
        root=root,
        results=path("results") or root / "results" / folder,
        store=path("store", "REPRO_STORE") or root / "results" / "store",
        data_root=path("data_root", "REPRO_DATA"),
        device=config.getoption("device"),
        engine=config.getoption("engine"),
        budget=seconds(config.getoption("budget")),
        jobs=config.getoption("jobs"),
        ray_address=config.getoption("ray_address"),
    )
    if options.ray_address and options.engine != "ray":
        raise HarnessError(f"--ray-address {options.ray_address} needs --engine ray")
    if options.jobs is not None and options.jobs < 1:
        raise HarnessError(f"--jobs {options.jobs}: at least one run at a time")
    catalogue = load_catalogue(root / "claims" / "catalogue.toml")
    for name in profile.claims or []:
        claim, _, part = name.partition(" ")
        catalogue[claim].rule(part or None) if part else catalogue[claim]
    return Session(profile, catalogue, options, remark)


def absolute_subject(given: str, folder: Path) -> str:
    """`[role=]target` as it is found from any folder, by worker processes too: a file absolute, a module on the path.

    `pytest` alone, unlike `python -m pytest`, does not look for modules in the folder that it is called from.
    """
    role, equals, target = given.rpartition("=")
    where, colon, factory = target.rpartition(":")
    if where.endswith(".py"):
        return f"{role}{equals}{Path(folder, where).resolve()}{colon}{factory}"
    if str(folder) not in sys.path:
        sys.path.insert(1, str(folder))
    return given


def wanted_claims(config: pytest.Config) -> list[str]:
    """The ids behind `--claim`; none: all."""
    given = config.getoption("claim") or ""
    return [name.strip() for name in given.split(",") if name.strip()]


def seconds(text: str | None) -> float | None:
    """`90s`, `9m`, `1h30m` in seconds."""
    if text is None:
        return None
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text)
    if not match or not any(match.groups()):
        raise HarnessError(f"--budget {text!r} is not a time; write e.g. 90s, 9m or 1h30m")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(hours * 3600 + minutes * 60 + seconds)
