"""Behind pytest-benchmark's tables of seconds: what each benchmark noted of itself, a line each."""

from __future__ import annotations

import pytest

NOTES = pytest.StashKey[list[str]]()


@pytest.fixture(autouse=True)
def _notes(request):
    benchmark = request.getfixturevalue("benchmark") if "benchmark" in request.fixturenames else None
    yield
    if benchmark is not None and benchmark.extra_info:
        figures = "  ".join(f"{name} {value:,.4g}" for name, value in benchmark.extra_info.items())
        request.config.stash.setdefault(NOTES, []).append(f"{request.node.name:<44} {figures}")


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter, config):
    if notes := config.stash.get(NOTES, []):
        terminalreporter.section("figures")
        for line in notes:
            terminalreporter.write_line(line)
