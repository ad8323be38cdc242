"""Python and packages, held against the ranges of pyproject.toml and the tested versions of constraints.txt."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from harness.doctor.finding import Finding

PROJECT = Path(__file__).parents[2]
NAME = "how-do-vits-work-bench"
INSTALL = "pip install -c constraints.txt -e ."
OLDEST = (3, 11)
OPTIONAL = {"ray": "only --engine ray needs it: pip install -c constraints.txt -e '.[ray]'"}


def software(project: Path = PROJECT) -> Iterator[Finding]:
    """A line on Python, one on each package that is not as it should be, one on those that are.

    Args:
        project: the folder of pyproject.toml and constraints.txt; where it has none, the ranges are those that were
            noted at installation.
    """
    python = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST:
        advice = "3.11 or newer is needed: make PYTHON=python3.12, or any newer one"
        yield Finding("Python", python, advice, blocks=True)
        return
    yield Finding("Python", python)
    wanted, tested = requirements(project), constraints(project)
    wrong = [finding for each in wanted if (finding := against_range(each))]
    yield from wrong
    if len(wrong) < len(wanted):
        yield Finding("packages", f"{len(wanted) - len(wrong)} of {len(wanted)} within the ranges of pyproject.toml")
    others = [f"{name} {there} (tested: {pinned})" for name, there, pinned in untested(wanted, tested)]
    if others:
        yield Finding("versions other than the tested ones", ", ".join(others), f"if something fails: {INSTALL}")
    yield from torchvision_of_torch()
    yield from imports("torch")
    for name, what in OPTIONAL.items():
        there = installed(name)
        yield Finding(name, there) if there else Finding(name, "not installed", what)


def requirements(project: Path) -> list[Requirement]:
    """What the suite cannot do without."""
    path = project / "pyproject.toml"
    if path.is_file():
        import tomllib

        lines = tomllib.loads(path.read_text(encoding="utf-8"))["project"]["dependencies"]
    else:
        lines = [line for line in requires(NAME) or [] if "extra ==" not in line]
    return [Requirement(line) for line in lines]


def constraints(project: Path) -> list[Requirement]:
    """The tested versions; none where the suite was installed without them."""
    path = project / "constraints.txt"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def installed(name: str) -> str | None:
    """The version of a package; None where it is missing."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def against_range(wanted: Requirement) -> Finding | None:
    """What is wrong with a package that is needed."""
    there = installed(wanted.name)
    if there is None:
        return Finding(wanted.name, "not installed", INSTALL, blocks=True)
    if not wanted.specifier.contains(there, prereleases=True):
        return Finding(wanted.name, f"{there}, outside {wanted.specifier}", INSTALL, blocks=True)
    return None


def untested(wanted: Iterable[Requirement], tested: Iterable[Requirement]) -> Iterator[tuple[str, str, str]]:
    """Name, version there and tested version of packages within their range that are not the tested ones."""
    pins = {each.name.lower().replace("_", "-"): each.specifier for each in tested}
    for each in wanted:
        there, pin = installed(each.name), pins.get(each.name.lower().replace("_", "-"))
        # a local version such as 2.13.0+cpu is the tested one
        if there and pin and each.specifier.contains(there) and not pin.contains(there, prereleases=True):
            yield each.name, there, str(pin).removeprefix("==")


def torchvision_of_torch() -> Iterator[Finding]:
    """Whether it is the one of this torch: timm needs any version, and pip does not always keep the two together."""
    torch, torchvision = installed("torch"), installed("torchvision")
    if torch is None or torchvision is None:
        return
    for line in requires("torchvision") or []:
        needed = Requirement(line)
        if needed.name == "torch" and not needed.specifier.contains(torch, prereleases=True):
            yield Finding(
                "torchvision", f"{torchvision} needs torch {needed.specifier}, not {torch}", INSTALL, blocks=True
            )


def imports(name: str) -> Iterator[Finding]:
    """An installed package that cannot be loaded, for a library of the system, say."""
    if installed(name) is None:
        return
    try:
        importlib.import_module(name)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        yield Finding(name, f"installed, and cannot be loaded ({reason})", INSTALL, blocks=True)
