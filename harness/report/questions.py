"""The paper against itself: its comparisons beside what this suite puts to the test, its words beside its plots."""

from __future__ import annotations

from dataclasses import dataclass

from harness.report.summary import Case, Section, Summary

# What is asked, why, and the claims on either side of it.
ASKED = (
    (
        "Does ViT's flatness hang on how Hessians are measured?",
        "The paper takes BatchNorm's running statistics as constants; the loss that is trained depends on those of the "
        "mini-batch. The same checkpoints, early and late, under both.",
        (("As the paper measures", ("L2", "L3")), ("Put to the test", ("D1",))),
    ),
    (
        "Are negative eigenvalues made by the power iteration?",
        "The paper's come from power iteration with a loose stopping rule. The same checkpoints and mini-batches, by "
        "that iteration and by eigenvalues that have converged.",
        (("Put to the test", ("D2",)),),
    ),
    (
        "Does AlterNet beat a fair control?",
        "The paper compares 33.0 M parameters with a network of one block less and 23.7 M. Beside that: networks of as "
        "many blocks, of as many parameters, and with as many MSAs elsewhere.",
        (("The paper's comparison", ("A1", "A2")), ("The fair ones", ("D3",))),
    ),
)


@dataclass(frozen=True)
class Side:
    """One side of a question: cases that were judged here, with their claims."""

    title: str
    cases: list[tuple[Section, Case]]


@dataclass(frozen=True)
class Question:
    """What the paper leaves open about itself.

    Attributes:
        claim: the one whose text and plot disagree, if that is the question.
    """

    title: str
    text: str
    sides: list[Side]
    claim: Section | None = None


def questions(summary: Summary) -> list[Question]:
    """Those that something here bears on: the suite's own, then text against plot."""
    sections = {section.id: section for section in summary.sections}
    asked = [
        Question(title, text, [Side(name, cases_of(sections, claims)) for name, claims in sides])
        for title, text, sides in ASKED
    ]
    told = [
        Question(
            section.title, section.claim.text_against_plot, [Side("Here", cases_of(sections, (section.id,)))], section
        )
        for section in summary.sections
        if section.claim and section.claim.text_against_plot
    ]
    return [question for question in asked + told if any(side.cases for side in question.sides)]


def cases_of(sections: dict[str, Section], claims: tuple[str, ...]) -> list[tuple[Section, Case]]:
    return [
        (sections[claim], case) for claim in claims if claim in sections for case in sections[claim].cases
        if case.outcome != "not run"
    ]  # fmt: skip
