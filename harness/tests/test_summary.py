"""The report in a page of Markdown, and its picture."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.judging.evidence import Control, PremiseRecord, write_evidence
from harness.report.headlines import answer
from harness.report.markdown import markdown
from harness.report.picture import picture
from harness.report.summary import summarise
from harness.tests import report_fixtures as made

ROOT = Path(__file__).parents[2]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def claims(tmp_path):
    return made.catalogue(tmp_path)


@pytest.fixture
def results(tmp_path, claims):
    return made.results_folder(tmp_path, claims, probes=())


def test_the_page_says_what_holds_on_what_it_rests_and_what_disagrees(results, claims):
    learned = PremiseRecord(name="mean test accuracy of alternet", unit="share", value=0.915, least=0.9, holds=True)
    gain = [made.effect("accuracy gain", -1.0, 0.5, unit="pp")]
    case = {"verdict": "contradicted", "reason": "the gain\nlies below 0.", "premises": [learned]}
    write_evidence(results, "digits", made.evidence(claims, "A2", gain, **case))
    summary = summarise(results, claims)
    page = markdown(summary, claims)
    lines = page.splitlines()
    assert answer(summary) in lines
    assert "![The verdicts, headline by headline](summary.svg)" in lines
    assert "| MSAs are low-pass filters, Convs high-pass | 1 agrees with the paper, 1 is undecided | " in page
    assert "| ✓ F2 digits, ? F3 digits-PiT |\n" in page
    assert "| AlterNet beats CNNs | 1 disagrees | – A2 cifar10, ✗ A2 digits |" in lines
    assert "- **A2 digits**, disagrees (AlterNet beats ResNet): the gain lies below 0." in lines
    assert "- Leaning to what the paper says: F3 digits-PiT." in lines
    assert any("alternet is `alternet_micro` (91.5 % test accuracy)" in line for line in lines)
    assert any(
        line.startswith("- 3 seeds a case, on Digits 8×8; judged 2026-02-03, on cpu (2 cores)") for line in lines
    )
    assert not any(line.count("\n\n") for line in lines)


def test_each_machine_is_named_once(results, claims):
    one, both = "cpu: A (family 25), 1 thread", "cpu: A (family 25), 1 thread; cpu: B, 1 thread"
    for case, device in (("digits", both), ("cifar10", one), ("cifar100", "none")):
        evidence = made.evidence(claims, "A2", [made.effect("accuracy gain", -1.0, 0.5)])
        provenance = evidence.provenance.model_copy(update={"device": device})
        write_evidence(results / "some", case, evidence.model_copy(update={"provenance": provenance}))
    assert "on cpu: A (family 25), 1 thread; cpu: B, 1 thread." in markdown(summarise(results / "some", claims), claims)


def test_what_markdown_would_take_for_its_own_is_shown_as_it_is(tmp_path):
    text = made.CATALOGUE.replace("AlterNet beats ResNet", "AlterNet | *beats* <b>ResNet")
    claims = made.catalogue(tmp_path, text)
    changed = made.evidence(claims, "A2", [made.effect("accuracy gain", -1.0, 0.5)], verdict="contradicted")
    rule = changed.rule.model_copy(update={"part": "PiT|Swin"})
    write_evidence(tmp_path / "x", "digits", changed.model_copy(update={"rule": rule}))
    page = markdown(summarise(tmp_path / "x", claims), claims)
    assert "(AlterNet \\| \\*beats\\* \\<b>ResNet)" in page
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert len(rows) == 7
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 4 for row in rows)


def test_a_folder_in_which_nothing_was_judged_says_so(tmp_path, claims):
    write_evidence(tmp_path / "x", "digits", made.evidence(claims, "A2", [], verdict="not run", reason="stopped"))
    summary = summarise(tmp_path / "x", claims)
    page = markdown(summary, claims)
    assert "Nothing was judged here." in page
    assert "No networks were judged." in page
    assert "disagrees" not in page
    assert ElementTree.fromstring(picture(summary)).findtext(f"{SVG}title") == "Nothing was judged here."


def tiles(svg):
    """(x, y, width, height, text) of each."""
    for group in ElementTree.fromstring(svg).iter(f"{SVG}g"):
        box = group.find(f"{SVG}rect")
        yield (*(float(box.get(name)) for name in ("x", "y", "width", "height")), group.findtext(f"{SVG}text"))


def test_each_case_has_a_tile_on_the_picture_that_covers_no_other(tmp_path, claims):
    """As many as a set has at most; the labels are of several lengths."""
    control = Control(value=0.2, low=None, high=None, n=3)
    steps = [made.effect(name, 0.2, 0.1).model_copy(update={"untrained": control})
             for name in ("attention step, sign turned", "MLP step")]  # fmt: skip
    for number in range(30):
        mine = made.evidence(claims, "F2", steps)
        rule = mine.rule.model_copy(update={"part": "part" * (number % 4 + 1)})
        write_evidence(tmp_path / "x", f"digits-{number}", mine.model_copy(update={"rule": rule}))
    svg = picture(summarise(tmp_path / "x", claims))
    width, height = map(float, ElementTree.fromstring(svg).get("viewBox").split()[2:])
    found = list(tiles(svg))
    assert sorted(text for *_, text in found) == sorted(f"✓ F2 {'part' * (n % 4 + 1)}°" for n in range(30))
    for at, (x, y, wide, high, text) in enumerate(found):
        assert 0 < x < x + wide < width
        assert 0 < y < y + high < height
        assert 7.3 * len(text) < wide  # of a monospaced font of 12 px
        for other_x, other_y, other_wide, other_high, _ in found[:at]:
            assert x >= other_x + other_wide or other_x >= x + wide or y >= other_y + other_high or other_y >= y + high
    assert "random weights show it as well" in svg


def luminance(colour):
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_picture_fetches_nothing_and_is_readable_on_light_and_dark(results, claims):
    """The contrast that WCAG 2 asks of text, 4.5, of every colour on its ground."""
    svg = picture(summarise(results, claims))
    assert re.findall(r"https?://[^\"]+", svg) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"@import|@font-face|url\(|<image|<script", svg)
    light, dark = svg[svg.index("<style>") : svg.index("</style>")].split("@media (prefers-color-scheme: dark)")
    for style in (light, dark):
        colours = {name: re.search(rf"{name} {{ fill: (#\w+)", style)[1] for name in (r"\.page", "\ntext", r"\.muted")}
        tile = re.search(r"\.tile rect { fill: (#\w+)", style)[1]
        inks = re.findall(r"{ color: (#\w+) }", style)
        assert len(inks) == 4
        pairs = [(colours["\ntext"], colours[r"\.page"]), (colours[r"\.muted"], colours[r"\.page"])]
        for ink, ground in [*pairs, *((ink, tile) for ink in inks)]:
            bright, deep = sorted((luminance(ink), luminance(ground)), reverse=True)
            assert (bright + 0.05) / (deep + 0.05) >= 4.5, (ink, ground)


def test_the_command_prints_the_summary_of_a_committed_set_without_torch():
    quick = ROOT / "results" / "reference" / "quick"
    code = (
        f"import sys; sys.argv = ['harness', 'summary', {str(quick)!r}]\n"
        "from harness.__main__ import main\nmain()\nprint([n for n in ('torch', 'matplotlib') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    page, _, loaded = done.stdout.rstrip("\n").rpartition("\n")
    assert loaded == "[]"
    assert page.startswith("# Verdicts of quick\n")
    assert (quick / "summary.svg").is_file()
