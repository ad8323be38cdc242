from __future__ import annotations

import html
import re
import subprocess
import sys
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import report
from harness.catalogue import Catalogue, load_catalogue
from harness.errors import HarnessError
from harness.evidence import CaseRecord, RuleRecord, evidence_path, write_evidence
from harness.report import numbers
from harness.report.figures.landscape_maps import clipped, common_scale
from harness.report.tables import TableError, read_table, weighted_mean
from harness.tests import report_fixtures as made

VOID = {"meta", "link", "br", "hr", "img", "input", "col", "wbr", "area", "base", "embed", "source", "track"}
ROOT = Path(__file__).parents[2]


class Page(HTMLParser):
    """Reads a page strictly: every tag is closed in order, and ids, links and fetched addresses are noted."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.labels: list[str] = []
        self.data: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self.note(tag, attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.note(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def note(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name in ("href", "xlink:href"):
                self.links.append(value or "")
            elif name in ("src", "srcset", "action", "poster", "background"):
                self.fetched.append(value or "")
            elif name == "aria-label" and tag == "svg":
                self.labels.append(value or "")
            elif name == "value" and tag == "data":
                self.data.append(value or "")


@pytest.fixture
def claims(tmp_path: Path) -> Catalogue:
    return made.catalogue(tmp_path)


@pytest.fixture
def results(tmp_path: Path, claims: Catalogue) -> Path:
    """A results folder to change; it has no tables."""
    return made.results_folder(tmp_path, claims, probes=())


@dataclass(frozen=True)
class Example:
    """A results folder with everything in it, and its report, for tests that only read."""

    claims: Catalogue
    results: Path
    text: str


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Example:
    folder = tmp_path_factory.mktemp("example")
    claims = made.catalogue(folder)
    results = made.results_folder(folder, claims)
    return Example(claims, results, built(results, claims))


def built(results: Path, claims: Catalogue) -> str:
    path = report.build(results, claims)
    assert path == results / "report.html"
    return path.read_text(encoding="utf-8")


def section(text: str, claim: str) -> str:
    """The part of the page about one claim."""
    (found,) = (part for part in text.split("<article")[1:] if f'aria-labelledby="{claim}"' in part.split(">")[0])
    return found


def words(text: str) -> str:
    """The page as read: no tags, one space between words."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def test_the_page_is_whole_and_fetches_nothing(example):
    page = Page(example.text)
    assert page.fetched == []
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert all(link.startswith("#") for link in page.links)
    assert "@import" not in example.text
    assert not re.search(r"url\((?!#)", example.text)
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert set(re.findall(r"url\(#([^)]+)\)", example.text)) <= set(page.ids)
    assert page.tags.count("h1") == 1
    assert all(page.labels), "a figure without words"
    assert len(page.labels) == 7  # two roles and one role with two Fourier drawings each, and one accuracy


def test_every_claim_of_the_catalogue_appears_in_its_order(example):
    table = example.text[: example.text.index('id="judged"')]
    for claim in example.claims.claims:
        assert f'<span class="id">{claim}</span>' in table
        assert example.claims[claim].statement in html.unescape(example.text)
    assert "cited in the paper, not measured by it" in table
    assert "part: Swin" in table
    assert "4 – not run" in words(example.text)
    order = [example.text.index(f'id="{claim}"') for claim in ("F2", "F3", "A2", "L4", "L7")]
    assert order == sorted(order)


def test_the_numbers_are_those_of_the_evidence(example):
    f2 = section(example.text, "F2")
    assert {"0.2513", "0.1794", "0.83", "0.098", "0.11"} <= set(Page("<article" + f2).data)
    shown = words(f2)
    assert "0.25 nats [0.15, 0.35] 95 % 3 seeds" in shown
    assert "0.179 nats [0.119, 0.239] 95 % 3 seeds" in shown
    assert "reported only" in shown
    assert "handwritten digits (8×8) instead of ImageNet-1K" in shown
    assert "0123456789abcdef0123456789abcdef01234567" in shown
    assert "1 min 15 s" in shown
    a2 = words(section(example.text, "A2"))
    assert "\N{MINUS SIGN}1.25 pp [\N{MINUS SIGN}2.15, \N{MINUS SIGN}0.35]" in a2
    assert "1.54 Fig 12b, digitised" in a2
    assert "the budget ran out before training was done" in a2


def test_the_papers_curve_is_drawn_where_role_and_quantity_match(example):
    labels = Page(example.text).labels
    mine = [label for label in labels if label.startswith("Delta log amplitude of the highest frequency")]
    assert [("ViT-Ti, ImageNet-1K" in label) for label in mine] == [True, False, False]  # vit, resnet, pit
    (accuracy,) = (label for label in labels if label.startswith("Accuracy"))
    assert "paper: Alter-ResNet-50, CIFAR-100 84.02 %" in accuracy
    panels = re.findall(r'<svg viewBox="[^"]*" role="img".*?</svg>', example.text, re.S)
    assert [("paper: ViT-Ti, ImageNet-1K</text>" in panel) for panel in panels[:2]] == [True, False]


def test_the_curve_of_the_figure_is_the_weighted_mean(example):
    table = pd.read_parquet(example.results / "tables/F2/digits/fourier.parquet")
    last = table[(table["role"] == "vit") & (table["label"] == 1.0) & (table["unit"] == 0)]
    seeds = [np.average(one["delta_log_amplitude"], weights=one["images"]) for _, one in last.groupby("seed")]
    labels = Page(example.text).labels
    assert f"{numbers.fixed(np.mean(seeds), 2)} at the first" in labels[0]
    assert numbers.fixed(last["delta_log_amplitude"].mean(), 2) != numbers.fixed(np.mean(seeds), 2)


def test_a_single_seed_has_no_band_and_says_so(example):
    f3 = section(example.text, "F3")
    assert "ours, single seed" in f3
    assert "lowest to highest seed" not in f3
    assert "lowest to highest seed" in section(example.text, "F2")


def test_hostile_words_stay_words(tmp_path):
    evil = "<script>alert('x')</script> & $\\frac{$"
    text = made.CATALOGUE.replace("AlterNet beats ResNet", "<b onclick=1>title</b>")
    claims = made.catalogue(tmp_path, text)
    results = tmp_path / "evil"
    models = {"alternet": evil, "resnet": "]]><!-- </svg>"}
    table = made.write_table(results, "tables/A2/x/prediction.parquet", made.prediction_table(models, [0]))
    fourier = made.fourier_table(["vit"], [0, 1]).assign(role='"><script>', model=evil, kind="</style>")
    tables = [table, made.write_table(results, "tables/A2/x/fourier.parquet", fourier)]
    changes = {"models": models, "reason": evil, "deviations": [evil], "tables": tables, "statement": evil}
    write_evidence(results, "x", made.evidence(claims, "A2", [made.effect(evil, 1.0, 0.5)], **changes))
    page = built(results, claims)
    parsed = Page(page)
    assert "script" not in parsed.tags
    assert page.count("<style>") == page.count("</style>") == 1
    assert not any("onclick" in tag for tag in re.findall(r"<[^>]*>", page))
    assert html.escape(evil, quote=False).replace("'", "&#39;") in page
    assert any(evil in label for label in parsed.labels)


def test_a_changed_rule_is_flagged(results, claims, tmp_path):
    assert "The rule changed" not in built(results, claims)
    changed = made.catalogue(tmp_path, made.CATALOGUE.replace("Accuracy of AlterNet minus", "AlterNet minus"))
    text = built(results, changed)
    assert words(section(text, "A2")).count("The rule changed after this case was judged") == 2
    assert "The rule changed" not in section(text, "F2")
    assert "The rule changed" in report.verdict_table(results, changed)
    old = claims["A2"].rule(None)
    assert f"The rule that judged: {old.text}" in words(section(text, "A2"))
    renamed = made.catalogue(tmp_path, made.CATALOGUE.replace('part = "PiT"', 'part = "PiT-Ti"'))
    assert "no rule for part &#39;PiT&#39;" in section(built(results, renamed), "F3")


def test_evidence_for_an_unknown_claim_is_shown_and_flagged(results, claims):
    stranger = made.evidence(claims, "F2", [made.effect("something", 0.5, 0.1)])
    rule = RuleRecord(part=None, text="unknown", sha256="0" * 64)
    write_evidence(results, "digits", stranger.model_copy(update={"claim": "Z9", "rule": rule}))
    text = built(results, claims)
    assert "has no claim 'Z9'" in words(section(text, "Z9"))
    assert "Z9" in report.verdict_table(results, claims)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:400]), "prediction.parquet is damaged"),
        (lambda path: path.write_bytes(b""), "prediction.parquet is damaged"),
        (lambda path: path.unlink(), "prediction.parquet is missing"),
        (lambda path: pd.DataFrame({"role": ["a"]}).to_parquet(path), "has no column model, seed, images, correct"),
        (lambda path: pd.read_parquet(path).iloc[:0].to_parquet(path), "has no rows"),
        (lambda path: pd.read_parquet(path).assign(correct="yes").to_parquet(path), "not numbers"),
        (lambda path: pd.read_parquet(path).assign(correct=np.nan).to_parquet(path), "no image that counts"),
    ],
)
def test_a_table_that_cannot_be_shown_is_said_at_its_place(tmp_path, claims, damage, says):
    results = made.results_folder(tmp_path, claims, probes=("prediction",))
    damage(results / "tables/A2/digits/prediction.parquet")
    text = built(results, claims)
    Page(text)
    assert says in words(section(text, "A2"))
    assert "No figure" not in section(text, "F2")


def test_a_fourier_table_without_finite_values_is_said(results, claims):
    table = made.fourier_table(["vit"], [0, 1, 2])
    path = results / made.write_table(results, "tables/L4/digits/fourier.parquet", table)
    tables = ["tables/L4/digits/fourier.parquet"]
    write_evidence(results, "digits", made.evidence(claims, "L4", [made.effect("error gap", 1, 0.5)], tables=tables))
    table.assign(delta_log_amplitude=np.nan).to_parquet(path)
    assert "holds no finite amplitude" in built(results, claims)
    table.loc[(table["role"] == "vit") & (table["unit"] == 3), "delta_log_amplitude"] = np.inf
    table.to_parquet(path)
    assert f"{3 * 2 * 4} values that are not finite are left out" in built(results, claims)


def shown_with(results, claims, claim, probe, table, models):
    """The labels of the figures of a page on which one more case has this table."""
    path = made.write_table(results, f"tables/{claim}/extra/{probe}.parquet", table)
    write_evidence(results, "extra", made.evidence(claims, claim, [], models=models, tables=[path]))
    return Page("<article" + section(built(results, claims), claim).split("</article>")[0] + "</article>").labels


def test_the_variance_of_every_unit_and_the_papers_at_the_same_height(results, tmp_path):
    variance = made.CATALOGUE.replace('quantity = "delta_log_amplitude"', 'quantity = "variance"')
    claims = made.catalogue(tmp_path, variance.replace("-1.", "1.").replace("-2.", "2."))
    models = {"vit": "vit_micro", "resnet": "resnet_micro"}
    vit, resnet = shown_with(results, claims, "F2", "variance", made.variance_table(list(models), [0, 1]), models)
    # 1 + unit, 0.05 as the mean of the seeds, and a quarter of 0.4: the second group has 2 of 8 images.
    assert "1.150 at the first, 13.150 at the last of 13 units" in vit
    mean = np.mean([1.777, 1.887, 2.648, 2.17, 2.535, 2.167, 2.366, 2.503, 2.272])
    assert f"× {7.15 / mean:.1f}, ImageNet-1K: {1.777 * round(7.15 / mean, 1):.3f}" in vit
    assert resnet.endswith("1.150 at the first, 7.150 at the last of 7 units.")


def test_lesions_are_bars_beside_the_papers(results, tmp_path):
    claims = made.catalogue(tmp_path, made.CATALOGUE.replace("delta_log_amplitude", "lesion_delta_accuracy"))
    table = made.lesion_table(["vit"], [0, 1])
    ours, theirs = shown_with(results, claims, "F2", "lesion", table, {"vit": "vit_micro"})
    # Unit 12 costs 12; the second seed 0.5 more in 2 of 8 images: 0.0625 over both seeds.
    assert "−1.1 at the first, −12.1 at the last of 12 units" in ours
    assert "ViT-Ti, ImageNet-1K: −1.8 at the first" in theirs
    assert "lowest −2.6 at number 3" in theirs


def test_a_heat_map_of_similarities_has_their_colours(results, claims):
    table = made.similarity_table(["vit", "resnet"], [0, 1])
    models = {"vit": "vit_micro", "resnet": "resnet_micro"}
    vit, resnet = shown_with(results, claims, "F2", "similarity", table, models)
    assert "all pairs of 13 units, vit: vit_micro: 0.48 between neighbours" in vit  # 11 times 0.5, once 0.28
    assert "0.28 between first and last" in vit
    assert "all pairs of 7 units" in resnet
    (panel,) = re.findall(r'<svg[^>]*aria-label="Similarity[^"]*resnet.*?</svg>', built(results, claims), re.S)
    painted = [panel.count(f"fill: var(--depth-{step})") for step in range(9)]
    assert painted == [1, 1, 1, 1, 1, 0, 1, 0, 2]  # 0.28, 0.5 and 1 from 0.2 to 1; and every second in the legend
    table.loc[5, "hsic"] = np.nan
    made.write_table(results, "tables/F2/extra/similarity.parquet", table)
    assert "holds values that are not finite" in built(results, claims)


def test_noise_is_shown_at_the_calibrated_amplitude(results, tmp_path):
    series = 'quantity = "noise_delta_accuracy"\nx = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]'
    claims = made.catalogue(tmp_path, made.CATALOGUE.replace('quantity = "delta_log_amplitude"', series))
    models = {"resnet": "resnet_micro", "vit": "vit_micro"}
    ours, theirs = shown_with(results, claims, "F2", "noise", made.noise_table(models, [0, 1]), models)
    minus = "\N{MINUS SIGN}"
    assert f"resnet (resnet_micro) {minus}5.0, {minus}25.0, {minus}45.0" in ours
    assert f"vit (vit_micro) {minus}10.0, {minus}50.0, {minus}90.0" in ours
    assert f"ViT-Ti {minus}1.8, {minus}1.9" in theirs
    caption = words(section(built(results, claims), "F2"))
    assert "measured, 2 (standard deviation" in caption
    assert "loses nearest to 5 pp at 0.1π, 5.0 pp" in caption
    assert "energy added per pixel is 0.1 at the lowest and 0.9 at the highest" in caption


MICRO = {"resnet": "resnet_micro", "vit": "vit_micro"}


def test_the_rise_of_the_loss_on_rings_beside_the_papers(results, tmp_path):
    series = 'quantity = "ring_increase_nll"\nx = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]'
    claims = made.catalogue(tmp_path, made.CATALOGUE.replace('quantity = "delta_log_amplitude"', series))
    nll, l2, *maps = shown_with(results, claims, "F2", "landscape", made.landscape_table(MICRO, [0, 1]), MICRO)
    # Per r 1 and 1.2 in the two seeds, twice that for the second role; the l2 terms add 1, and 4 in the caption.
    assert "resnet: resnet_micro 0.55, 1.10; vit: vit_micro 1.10, 2.20; paper: ViT-Ti, ImageNet-1K −1.78," in nll
    assert "rise of NLL + l2 over the centre, from the innermost ring outwards: resnet: resnet_micro 1.05, 2.10;" in l2
    assert "vit: vit_micro 1.60, 3.20." in l2
    assert "paper" not in l2
    text = section(built(results, claims), "F2")
    caption = words(text)
    assert "2 planes of random directions" in caption
    assert "the outermost ring rises by: resnet: resnet_micro 5.1; vit: vit_micro 6.2." in caption
    assert "At the centre: resnet: resnet_micro NLL 2.00, l2 5.00; vit: vit_micro NLL 2.00, l2 5.00." in caption
    assert "not finite" not in caption
    assert len(maps) == 8
    assert sum(label.startswith("Map of the rise of NLL over") for label in maps) == 2
    assert sum(label.startswith("Surface of the rise of NLL + l2 over") for label in maps) == 2
    assert all("at most 3.20 nats" in label for label in maps if "NLL + l2" in label and "vit" in label)
    shown = re.findall(r'<svg[^>]*aria-label="(?:Map|Surface).*?</svg>', text, re.S)
    assert all("var(--depth-" in svg and not re.search(r"#[0-9a-f]{6}\b", svg) for svg in shown)


def test_a_landscape_without_the_papers_numbers(results, claims):
    labels = shown_with(results, claims, "F2", "landscape", made.landscape_table({"vit": "vit_micro"}, [0]), MICRO)
    assert len(labels) == 6
    assert "Dashed" not in words(section(built(results, claims), "F2"))


def test_points_without_a_finite_loss_are_blank_and_counted(results, claims):
    table = made.landscape_table(MICRO, [0, 1])
    corner = (table["x"] == 1) & (table["y"] == 1) & (table["role"] == "resnet")
    edge = (table["x"] == -1) & (table["y"] == 0) & (table["role"] == "resnet")
    table.loc[corner & (table["seed"] == 0), "nll"] = [np.inf, -np.inf]
    table.loc[edge & (table["seed"] == 1) & (table["sample"] == 1), "nll"] = np.nan
    nll, *_ = shown_with(results, claims, "F2", "landscape", table, MICRO)
    assert "resnet: resnet_micro 0.55, 1.10;" in nll
    assert words(section(built(results, claims), "F2")).count("not finite: 2 of 25 (resnet: resnet_micro).") == 2


def test_a_landscape_without_a_centre_is_said(results, claims):
    table = made.landscape_table(MICRO, [0])
    for spoilt in (table.assign(nll=np.nan), table[table["x"] != 0], table[(table["x"] == 0) & (table["y"] == 0)]):
        shown_with(results, claims, "F2", "landscape", spoilt, MICRO)
        assert "no grid around a finite loss for resnet" in words(section(built(results, claims), "F2"))


@given(st.lists(st.floats(-2, 2), min_size=2, max_size=2), st.floats(-3, 3), st.floats(-2, 2))
def test_a_cell_is_cut_off_at_the_ceiling(slopes, height, ceiling):
    """A tilted cell: what is left is what of a fine grid over it lies below."""
    square = np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)])
    left = clipped(np.column_stack([square, height + square @ slopes]), ceiling)
    fine = (np.stack(np.meshgrid(np.arange(60), np.arange(60)), -1) + 0.5) / 60
    share = (height + fine @ slopes <= ceiling).mean()
    if len(left) == 0:
        assert share < 0.001
        return
    assert left[:, 2].max() <= ceiling + 1e-9
    x, y, _ = left.T
    assert abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2 == pytest.approx(share, abs=0.04)


@given(st.lists(st.floats(1e-4, 1e9), min_size=1, max_size=3))
def test_colours_change_at_1_3_10_below_the_highest_rise(highest):
    scale = common_scale([[pd.DataFrame([[0.0, rise], [np.nan, 0.0]])] for rise in highest])
    assert len(scale.levels) == 8
    assert scale.ceiling == min(highest)
    assert np.allclose(np.diff(np.log10(scale.levels)), 0.5, atol=0.03)
    assert scale.levels[-1] < max(highest) <= 3.5 * scale.levels[-1] or max(highest) < 0.01


def test_a_probe_without_a_figure_is_named(results, claims):
    table = made.write_table(results, "tables/L4/digits/hessian.parquet", pd.DataFrame({"role": ["a"]}))
    write_evidence(results, "digits", made.evidence(claims, "L4", [made.effect("error gap", 1, 0.5)], tables=[table]))
    text = words(section(built(results, claims), "L4"))
    assert "no figure for the probe 'hessian'" in text
    assert table in text


def test_the_same_evidence_gives_the_same_bytes(example):
    assert built(example.results, example.claims) == example.text


def test_no_deviation_is_said_to_be_the_papers_protocol(results, claims):
    write_evidence(results, "digits", made.evidence(claims, "L4", [made.effect("error gap", 1, 0.5)], deviations=[]))
    assert "none: the paper's own protocol" in words(section(built(results, claims), "L4"))


def test_an_effect_without_value_or_interval_is_a_dash(results, claims):
    bare = made.effect("error gap", 3.25, 1).model_copy(update={"low": None, "high": None})
    write_evidence(results, "a", made.evidence(claims, "L4", [bare]))
    write_evidence(results, "b", made.evidence(claims, "L4", [made.effect("error gap", None, 0)]))
    text = words(section(built(results, claims), "L4"))
    assert "3.25 nats none" in text
    assert "– nats none" in text


def test_an_empty_folder_lists_the_whole_catalogue(tmp_path, claims):
    text = built(tmp_path / "empty", claims)
    Page(text)
    assert "holds no evidence yet" in text
    assert words(text).count("No evidence in this folder") >= 3
    assert "no evidence for F2, F3, A2, L4, L7" in report.verdict_table(tmp_path / "empty", claims)


def test_evidence_that_is_none_stops_the_report(results, claims):
    path = evidence_path(results, "F2", "digits")
    path.write_text(path.read_text().replace('"digits"', "7"))
    with pytest.raises(HarnessError, match=r"digits\.json is not evidence of schema 1: case\.dataset"):
        report.build(results, claims)
    with pytest.raises(HarnessError):
        report.verdict_table(results, claims)


def test_the_verdict_table_fits_a_terminal(results, claims):
    long = made.effect("a name that goes on and on " * 3, 1e6, 2.5e5, unit="images a second")
    case = CaseRecord(dataset="digits", dataset_title="Digits", models={}, seeds=[0])
    write_evidence(results, "a-very-long-case-name-" * 3, made.evidence(claims, "L4", [long], case=case))
    text = report.verdict_table(results, claims)
    assert max(map(len, text.splitlines())) <= 120
    assert re.search(r"F2 +digits +reproduced +attention step, sign turned +0\.25 \[0\.15, 0\.35\] nats +0\.098", text)
    assert re.search(r"A2 +digits +contradicted +accuracy gain +-1\.25 \[-2\.15, -0\.35\] pp +1\.54", text)
    assert "no evidence for F3 (Swin), L7" in text
    assert text.endswith("2 reproduced, 1 contradicted, 1 inconclusive, 3 not run\n")


def test_the_real_catalogue_can_be_shown(tmp_path):
    claims = load_catalogue(ROOT / "claims" / "catalogue.toml")
    page = built(tmp_path, claims)
    Page(page)
    assert set(claims.claims) <= set(re.findall(r'<span class="id">(\w+)</span>', page))


def test_neither_torch_nor_the_reports_packages_load_with_it():
    code = (
        "import sys, harness.report; "
        "print([name for name in ('torch', 'timm', 'matplotlib', 'pandas') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout == "[]\n"
    code = "import sys, harness.report.page; print('torch' in sys.modules or 'timm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout == "False\n"


def test_weighted_mean_leaves_out_what_is_not_finite():
    table = pd.DataFrame({"unit": [0, 0, 0, 1], "value": [1.0, 4.0, np.nan, np.inf], "images": [1, 3, 5, 1]})
    assert weighted_mean(table, ["unit"], "value", "images").to_dict("list") == {"unit": [0], "value": [3.25]}


def test_read_table_names_the_file(tmp_path):
    with pytest.raises(TableError, match=r"nothing\.parquet is missing"):
        read_table(tmp_path / "nothing.parquet", (), ())


@pytest.mark.parametrize(
    ("value", "places", "shown"),
    [(-0.126, 2, "−0.13"), (-0.001, 2, "0.00"), (None, 2, "–"), (12.0, 0, "12"), (float("-inf"), 1, "−∞")],
)
def test_fixed(value, places, shown):
    assert numbers.fixed(value, places) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(0.42, "0.4 s"), (75, "1 min 15 s"), (3661, "1 h 1 min")])
def test_duration(seconds, shown):
    assert numbers.duration(seconds) == shown
