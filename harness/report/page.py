"""Fills the page: one HTML file with its style and its figures inside, nothing to fetch and nothing to run."""

from __future__ import annotations

import os
import shlex
from functools import partial
from pathlib import Path

from markupsafe import Markup

from harness.judging.evidence import Control, Effect, replicates
from harness.judging.folder import read_result_set
from harness.plan.catalogue import Catalogue
from harness.report import headlines as front
from harness.report import numbers
from harness.report.ahead import draw_ahead
from harness.report.cells import SIGNS, badge
from harness.report.disputes import protocol_table
from harness.report.drawn import Drawn
from harness.report.forest import comparable, forest, on_the_papers_scale
from harness.report.links import anchor
from harness.report.questions import questions
from harness.report.shown import drawings, figures
from harness.report.signature import signatures
from harness.report.summary import Summary
from harness.report.templating import environment
from harness.store.files import write_atomically

MEANINGS = {
    "reproduced": "the whole interval of every deciding effect lies above its null, the value of no effect.",
    "agrees": "the same, off the paper's protocol: other data, networks or schedule.",
    "contradicted": "at least one deciding effect lies below its null, after Holm's correction over all of them.",
    "disagrees": "the same, off the paper's protocol.",
    "negligible": "an effect lies within a quarter of the paper's own size around its null: too small to be it.",
    "inconclusive": "anything else: this design is too small to tell an effect from its null.",
    "out of scope": "a premise of the claim does not hold here.",
    "not run": "nothing was judged here, for the reason that is given.",
    "error": "a fault of the harness, of the data or of the machine kept the case from being judged.",
}

GLOSSARY = {
    "L, D, F, S, A, U": "the letters of claims: flatness of the loss, flatness as this suite asks about it, low-pass "
    "filters, stages, AlterNet, uncertainty.",
    "MSA": "multi-head self-attention, beside convolution (Conv) and MLP one of the blocks of a network.",
    "NEP": "negative eigenvalue proportion: the share below zero of the five leading Hessian eigenvalues of each "
    "mini-batch. 0 means locally convex.",
    "APE": "average positive eigenvalue: the mean of those above zero. Small means flat.",
    "NLL, NLL_train": "negative log-likelihood in nats; of the training images as they are augmented.",
    "effect": "a number that a rule names, turned so that larger means more as the paper says.",
    "null": "the value of an effect at which the statement stops being true.",
    "interval": "where the effect lies with all looks together in 95 %, over seeds.",
    "look": "one judging after so many seeds; an undecided case gets those of the next.",
    "untrained": "the same effect of networks with random weights: what the architecture alone shows.",
    "deviation": "one respect in which a case is not as the paper had it.",
    "pp": "percentage points.",
    "log ratio": "the natural logarithm of a ratio: 0.69 is twice as much.",
}


def write_page(results: Path, summary: Summary, catalogue: Catalogue, title: str) -> Path:
    """Render the summary to `results/report.html` and return that path.

    Raises:
        HarnessError: the page cannot be written.
    """
    pages = environment()
    pages.filters |= {"interval": numbers.interval, "replicates": replicates, "plain": exact_plain}
    pages.filters |= {"value": exact_value, "percent": numbers.percent, "duration": numbers.duration}
    pages.filters |= {"anchor": anchor, "verdict": badge, "forest": forest, "sign": SIGNS.__getitem__}
    pages.filters |= {"prose": numbers.prose, "accuracy": lambda percent: numbers.fixed(percent, 1)}
    pages.filters |= {"scaled": on_the_papers_scale}
    pages.filters |= {"test": partial(test_link, results, summary.root)}
    draw_ahead(results, summary, catalogue)
    drawn = Drawn(results)
    html = pages.get_template("report.html").render(
        title=title,
        summary=summary,
        meanings=MEANINGS,
        glossary=GLOSSARY,
        front=front,
        shared=front.shared(summary),
        networks=front.networks(summary, catalogue),
        signatures=list(signatures(summary, partial(drawings, drawn))),
        compared=comparable(summary),
        questions=questions(summary),
        figures=partial(figures, drawn),
        again=again(results),
        protocols=partial(protocol_table, results),
    )
    path = results / "report.html"
    write_atomically(path, html.encode())
    drawn.forget_the_rest()
    return path


def again(results: Path) -> str | None:
    """The command that judges a claim of this folder again, but for the claim; None where the folder does not say."""
    found = read_result_set(results)
    if found is None:
        return None
    options = f" --subject {shlex.quote(found.subject)}" if found.subject else ""
    options += " --untrained" if found.untrained else ""
    return f"pytest claims/ --profile {shlex.quote(found.profile)}{options} --claim"


def test_link(results: Path, root: Path, test: str) -> Markup:
    """The file and line of a test, as a link where the file is at hand."""
    file, _, line = test.rpartition(":")
    if not (root / file).is_file():
        return Markup("<code>{}</code>").format(test)
    target = os.path.relpath(root / file, results).replace(os.sep, "/")
    return Markup('<a href="{}#L{}"><code>{}</code></a>').format(target, line, test)


def exact_value(effect: Effect | Control) -> Markup:
    """The effect's value, rounded to see, whole for whoever reads the page with a program."""
    shown = numbers.fixed(effect.value, numbers.decimals(effect))
    return Markup(shown) if effect.value is None else data(effect.value, shown)


def exact_plain(value: float) -> Markup:
    return data(value, numbers.plain(value))


def data(value: float, shown: str) -> Markup:
    return Markup('<data value="{}">{}</data>').format(repr(value), shown)
