"""The report in a page of Markdown, `summary.md`: for a terminal, a pull request, a list of results."""

from __future__ import annotations

from pathlib import Path

from harness.plan.catalogue import Catalogue
from harness.report.cells import SIGNS
from harness.report.headlines import Headline, answer, headlines, judged, lean, networks, seeds, shared
from harness.report.numbers import fixed
from harness.report.picture import RANDOM, legend, name, on_several, picture
from harness.report.summary import Summary, distinct
from harness.report.templating import environment
from harness.store.files import write_atomically

AGAINST = ("contradicted", "disagrees", "negligible", "error")
LEANS = {"for": "Leaning to what the paper says", "against": "Leaning the other way"}
SPECIAL = "\\`*<|"  # what Markdown would take for its own; brackets and underscores stay as they are read


def write_summary(results: Path, summary: Summary, catalogue: Catalogue) -> None:
    """Write `summary.md` and the picture in it, `summary.svg`, into the results folder.

    Raises:
        HarnessError: they cannot be written.
    """
    write_atomically(results / "summary.md", markdown(summary, catalogue).encode())
    write_atomically(results / "summary.svg", picture(summary).encode())


def markdown(summary: Summary, catalogue: Catalogue) -> str:
    """The whole page."""
    pages = environment(markup=False)
    pages.filters["plain"] = plain
    several, found = on_several(summary), headlines(summary)
    marks = [each for headline in found for each in headline.marks]
    return pages.get_template("summary.md").render(
        summary=summary,
        answer=answer(summary),
        headlines=[(headline, marked(headline, several=several)) for headline in found],
        legend=legend(marks),
        random=RANDOM if any(each.untrained for each in marks) else "",
        data=distinct(evidence.case.dataset_title for evidence in judged(summary) if evidence.case.models),
        seeds=seeds(summary),
        networks=[
            (each.role, each.models, None if each.accuracy is None else fixed(each.accuracy, 1))
            for each in networks(summary, catalogue)
        ],
        shared=shared(summary),
        against=against(summary),
        undecided=undecided(summary),
    )


def marked(headline: Headline, *, several: bool) -> str:
    return ", ".join(f"{SIGNS[each.outcome]} {name(each, several=several)}" for each in headline.marks)


def against(summary: Summary) -> list[tuple[str, str, str, str]]:
    """Cases that speak against the paper, or met a fault: which, its claim, what came of it, and why on one line."""
    return [
        (f"{section.id} {case.name}", section.title, case.outcome, " ".join(case.evidence.reason.split()))
        for section in summary.sections
        for case in section.cases
        if case.outcome in AGAINST
    ]


def undecided(summary: Summary) -> dict[str, list[str]]:
    """Which way they lean -> the cases that do."""
    found: dict[str, list[str]] = {}
    for section in summary.sections:
        for case in section.cases:
            if way := lean(case):
                found.setdefault(LEANS[way], []).append(f"{section.id} {case.name}")
    return found


def plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return "".join("\\" + sign if sign in SPECIAL else sign for sign in text)
