"""The first screen: whether the paper holds, headline by headline, and on what that rests."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from harness.judging.evidence import Evidence
from harness.plan.catalogue import Catalogue
from harness.report.cells import SIGNS
from harness.report.summary import Case, Section, Summary, distinct

HEADLINES = {
    "flatness": "MSAs flatten the loss, and ViT's is not convex",
    "lowpass": "MSAs are low-pass filters, Convs high-pass",
    "stages": "MSAs belong at the ends of stages",
    "alternet": "AlterNet beats CNNs",
    "uncertainty": "Augmentation decides who is over-confident",
}
NAMES = {
    "flatness": "flatness",
    "lowpass": "low-pass",
    "stages": "stage ends",
    "alternet": "AlterNet",
    "uncertainty": "uncertainty",
}
COUNTED = {
    "reproduced": "hold",
    "agrees": "agree with the paper",
    "contradicted": "are contradicted",
    "disagrees": "disagree",
    "negligible": "are too small to be what it says",
    "inconclusive": "are undecided",
    "error": "met a fault",
}
ONE = {"hold": "holds", "agree": "agrees", "are": "is", "disagree": "disagrees", "met": "met"}
NEARLY_ALL = 0.9  # of the cases
ACCURACY = "mean test accuracy of "  # a premise of every case that looks at networks
Lean = Literal["for", "against"]


@dataclass(frozen=True)
class Mark:
    """One case on the first screen.

    Attributes:
        label: the claim, with its part.
        target: the section that it leads to.
        lean: of an undecided case, which way its effects lie.
        untrained: whether networks with random weights lie on the paper's side as well, so that training is not what
            puts ours there.
    """

    label: str
    outcome: str
    target: tuple[str, str]
    lean: Lean | None
    untrained: bool

    @property
    def words(self) -> str:
        leans = {"for": ", leaning to what the paper says", "against": ", leaning the other way", None: ""}
        return self.outcome + leans[self.lean] + (", as random weights do" if self.untrained else "")


@dataclass(frozen=True)
class Headline:
    """A statement of the paper that several claims bear."""

    group: str
    title: str
    marks: list[Mark]

    @property
    def counted(self) -> str:
        """Of all cases, by their signs: `✓ 5, ✗ 1, ? 14`."""
        counts = Counter(SIGNS[mark.outcome] for mark in self.marks)
        return ", ".join(f"{sign} {counts[sign]}" for sign in dict.fromkeys(SIGNS.values()) if counts[sign]) or "none"

    @property
    def verdicts(self) -> str:
        """Of the cases in scope, in words."""
        return in_words(Counter(mark.outcome for mark in self.marks)) or "not judged here"


@dataclass(frozen=True)
class Network:
    """Who plays a role, and how well: accuracies in per cent; the paper's is its own network's on CIFAR-100."""

    role: str
    models: list[str]
    accuracy: float | None
    paper: float | None


def headlines(summary: Summary) -> list[Headline]:
    """All of them, also those that nothing here bears."""
    return [
        Headline(group, title, [mark(section, case) for section in summary.sections if of(section, group)
                                for case in section.cases])
        for group, title in HEADLINES.items()
    ]  # fmt: skip


def of(section: Section, group: str) -> bool:
    """Whether a claim bears a headline; a theorem needs no evidence."""
    return section.claim is not None and section.claim.group == group and not section.claim.theorem


def mark(section: Section, case: Case) -> Mark:
    part = case.evidence.rule.part
    label = f"{section.id} {part}" if part else section.id
    return Mark(label, case.outcome, (section.id, case.name), lean(case), at_random_weights(case))


def at_random_weights(case: Case) -> bool:
    """Of a case that agrees: whether every deciding effect lies beyond its null at random weights, too."""
    controls = [(effect.untrained, effect.null) for effect in case.deciding if not effect.against_untrained]
    beyond = [found is not None and found.value is not None and found.value > null for found, null in controls]
    return case.evidence.verdict == "reproduced" and all(beyond)


def lean(case: Case) -> Lean | None:
    """Of an undecided case: for the paper if every deciding effect lies above its null, else against it."""
    if case.outcome != "inconclusive":
        return None
    above = [effect.value is not None and effect.value > effect.null for effect in case.deciding]
    return "for" if all(above) else "against"


def answer(summary: Summary) -> str:
    """Does the paper hold? In a sentence, of the cases in scope."""
    cases = [case for section in summary.sections if section.claim is None or not section.claim.theorem
             for case in section.cases]  # fmt: skip
    counts = Counter(case.outcome for case in cases)
    inside = sum(counts[outcome] for outcome in COUNTED)
    if not inside:
        return "Nothing was judged here."
    data = ", ".join(distinct(case.evidence.case.dataset_title for case in cases))
    return f"On {data}, of {inside} case{'s' * (inside > 1)} in scope {in_words(counts)}."


def in_words(counts: Counter[str]) -> str:
    parts = []
    for outcome, verb in COUNTED.items():
        if count := counts[outcome]:
            first, *rest = verb.split(" ", 1)
            parts.append(" ".join([str(count), ONE[first] if count == 1 else first, *rest]))
    return ", ".join(parts)


def networks(summary: Summary, catalogue: Catalogue) -> list[Network]:
    """Who plays the roles of the judged cases, variants aside, with their test accuracies at the end of training."""
    models: dict[str, list[str]] = {}
    accuracies: dict[str, float] = {}
    for evidence in judged(summary):
        for role, model in evidence.case.models.items():
            if role not in evidence.case.studies and model not in models.setdefault(role, []):
                models[role].append(model)
        for premise in evidence.premises:
            role = premise.name.removeprefix(ACCURACY)
            if role != premise.name and premise.value is not None:
                accuracies[role] = 100 * premise.value
    theirs = published(catalogue)
    return [Network(role, names, accuracies.get(role), theirs.get(role)) for role, names in models.items()]


def published(catalogue: Catalogue) -> dict[str, float]:
    """Role -> the paper's test accuracy on CIFAR-100, in per cent, of the network that it is in the paper."""
    found: dict[str, float] = {}
    for claim in catalogue.claims.values():
        for series in claim.series:
            if claim.dataset == "cifar100" and len(series.values) == 1 and series.quantity in ("accuracy", "error"):
                value = series.values[0]
                found.setdefault(series.role, value if series.quantity == "accuracy" else 100 - value)
    return found


def seeds(summary: Summary) -> str:
    """How many stand behind a judged case: `3 to 5 seeds`."""
    counts = sorted({len(evidence.case.seeds) for evidence in judged(summary) if evidence.case.seeds})
    found = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1])))) if counts else "no"
    return f"{found} seed{'s' * (counts != [1])}"


def distance(summary: Summary) -> str:
    """Deviations of a judged case from the paper's protocol, the fewest and the most."""
    counts = sorted({len(evidence.deviations) for evidence in judged(summary) if evidence.case.models})
    return " to ".join(map(str, dict.fromkeys((counts[0], counts[-1])))) if counts else "no"


def judged(summary: Summary) -> list[Evidence]:
    return [evidence for evidence in summary.evidence if evidence.verdict != "not run"]


def shared(summary: Summary) -> list[str]:
    """Deviations from the paper's protocol that nearly all cases with networks have: they are said once.

    Nearly: a throughput needs no training, and so does not deviate in it.
    """
    cases = [evidence for evidence in summary.evidence if evidence.case.models]
    counts = Counter(deviation for evidence in cases for deviation in evidence.deviations)
    return [deviation for deviation, count in counts.items() if count >= NEARLY_ALL * len(cases)]


def own(evidence: Evidence, common: list[str]) -> list[str]:
    """What it does not share."""
    return [deviation for deviation in evidence.deviations if deviation not in common]


def spared(evidence: Evidence, common: list[str]) -> list[str]:
    """What the others share and it has not."""
    return [deviation for deviation in common if deviation not in evidence.deviations]
