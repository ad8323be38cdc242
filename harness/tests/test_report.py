from __future__ import annotations

import html
import io
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness import report
from harness.errors import HarnessError
from harness.judging.evidence import CaseRecord, RuleRecord, evidence_path, write_evidence
from harness.judging.looks import Look
from harness.judging.verdict import by_protocol
from harness.plan.catalogue import Catalogue, load_catalogue
from harness.plan.study import Point
from harness.report import numbers
from harness.report.figures.landscape_maps import clipped, common_scale
from harness.report.figures.style import ROLES, Paper
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
    assert not {"link", "img", "iframe", "object"} & set(page.tags)
    assert page.tags.count("script") == 1  # the page's own
    inner = [link for link in page.links if not link.startswith("data:text/csv")]
    assert all(link.startswith("#") for link in inner)
    assert "@import" not in example.text
    assert not re.search(r"url\((?!#)", example.text)
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in inner} <= set(page.ids)
    assert set(re.findall(r"url\(#([^)]+)\)", example.text)) <= set(page.ids)
    assert page.tags.count("h1") == 1
    assert all(page.labels), "a figure without words"
    assert len(page.labels) == 9  # two roles and one role with two Fourier drawings each, one accuracy; two in front


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
    first_screen = words(example.text[: example.text.index("<main>")])
    assert "handwritten digits (8×8) instead of ImageNet-1K" in first_screen  # as all cases have it
    assert "0123456789abcdef0123456789abcdef01234567" in shown
    assert "1 min 15 s" in shown
    a2 = words(section(example.text, "A2"))
    assert "\N{MINUS SIGN}1.25 pp [\N{MINUS SIGN}2.15, \N{MINUS SIGN}0.35]" in a2
    assert "1.54 Fig 12b, digitised" in a2
    assert "the budget ran out before training was done" in a2


def test_the_papers_curve_is_drawn_where_role_and_quantity_match(example):
    labels = Page(example.text).labels
    mine = [label for label in labels if label.startswith("Delta log amplitude of the highest frequency")]
    assert [("ViT-Ti, ImageNet-1K" in label) for label in mine] == [
        True,
        False,
        True,
        False,
        False,
    ]  # vit, resnet in front; pit
    (accuracy,) = (label for label in labels if label.startswith("Accuracy"))
    assert "paper: Alter-ResNet-50, CIFAR-100 84.02 %" in accuracy
    panels = re.findall(r'<svg viewBox="[^"]*" role="img".*?</svg>', example.text, re.S)
    assert [("paper: ViT-Ti, ImageNet-1K</text>" in panel) for panel in panels[2:4]] == [True, False]


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


def test_behind_each_figure_are_the_numbers_that_it_draws(example):
    links = [link for link in Page(example.text).links if link.startswith("data:text/csv")]
    saved = re.findall(r'download="([^"]+)"', example.text)
    assert saved[:2] == ["F2-digits-depth.csv", "F2-digits-spectrum.csv"]
    tables = {
        name: pd.read_csv(io.StringIO(unquote(link.split(",", 1)[1]))) for name, link in zip(saved, links, strict=True)
    }
    table = pd.read_parquet(example.results / "tables/F2/digits/fourier.parquet")
    rows = table[(table["label"] == 1.0) & (table["role"] == "vit") & (table["unit"] == 3)]
    seeds = [np.average(one["delta_log_amplitude"], weights=one["images"]) for _, one in rows.groupby("seed")]
    depth = tables["F2-digits-depth.csv"].set_index(["role", "unit"])
    assert len(depth) == 13 + 7
    assert depth.loc[("vit", 3), ["mean", "low", "high"]].tolist() == pytest.approx(
        [np.mean(seeds), min(seeds), max(seeds)], rel=1e-5
    )
    predicted = pd.read_parquet(example.results / "tables/A2/digits/prediction.parquet")
    right = 100 * predicted.groupby(["role", "seed"])["correct"].mean()
    accuracy = tables["A2-digits-accuracy.csv"].set_index(["role", "seed"])["accuracy"]
    assert accuracy.to_dict() == pytest.approx(right.to_dict(), rel=1e-5)


HOSTILE = st.lists(
    st.sampled_from(
        ["<script>x()</script>", "</script>", "</style>", '">', "'", "<img src=x onerror=x()>", "<!--", "]]>"]
    )
    | st.sampled_from(
        ["javascript:x()", "{{ 7 * 7 }}", "&lt;b&gt;", "$x^2$", "<svg/onload=x()>", "\u202e", "\n", "a b"]
    )
    | st.text(max_size=5),
    min_size=1,
    max_size=4,
).map("".join)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(HOSTILE, min_size=5, max_size=5))
def test_no_script_or_markup_survives_from_names_reasons_and_paths(tmp_path_factory, words_of_others):
    model, reason, deviation, path, name = words_of_others
    folder = tmp_path_factory.mktemp("hostile")
    claims = made.catalogue(folder)

    def page_of(model, reason, deviation, path, name):
        results = folder / "results"
        shutil.rmtree(results, ignore_errors=True)
        changes = {"models": {"alternet": model}, "reason": reason, "deviations": [deviation], "tables": [path]}
        write_evidence(results, "x", made.evidence(claims, "A2", [made.effect(name, 1.0, 0.5)], **changes))
        return Attributes(built(results, claims))

    plain, hostile = page_of("m", "r", "d", "tables/x.parquet", "e"), page_of(model, reason, deviation, path, name)
    assert hostile.tags == plain.tags
    assert hostile.attributes == plain.attributes
    assert not {attribute for attribute in hostile.attributes if attribute.startswith("on")}
    assert all(link.startswith(("#", "data:text/csv;")) for link in hostile.links)


class Attributes(Page):
    """Notes the names of attributes as well."""

    def __init__(self, text):
        self.attributes = set()
        super().__init__(text)

    def note(self, tag, attrs):
        self.attributes |= {name for name, _ in attrs}
        super().note(tag, attrs)


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
    assert parsed.tags.count("script") == 1  # the page's own
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
        (
            lambda path: pd.DataFrame({"role": ["a"]}).to_parquet(path),
            "has no column model, seed, of, study, at, probe, after",
        ),
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
    table = pd.read_parquet(path)
    table.assign(delta_log_amplitude=np.nan).to_parquet(path)
    assert "holds no finite amplitude" in built(results, claims)
    table.loc[(table["role"] == "vit") & (table["unit"] == 3), "delta_log_amplitude"] = np.inf
    table.to_parquet(path)
    assert f"{3 * 2 * 4} values that are not finite are left out" in built(results, claims)


def shown_with(results, claims, claim, name, table, models, **about):
    """The labels of the figures of a page on which one more case has this table."""
    path = made.write_table(results, f"tables/{claim}/extra/{name}.parquet", table, **about)
    write_evidence(results, "extra", made.evidence(claims, claim, [], models=models, tables=[path]))
    return Page("<article" + section(built(results, claims), claim).split("</article>")[0] + "</article>").labels


def test_the_variance_of_every_unit_and_the_papers_at_the_same_height(results, tmp_path):
    variance = made.CURVES.replace('quantity = "delta_log_amplitude"', 'quantity = "variance"')
    claims = made.catalogue(tmp_path, curves=variance.replace("-1.", "1.").replace("-2.", "2."))
    models = {"vit": "vit_micro", "resnet": "resnet_micro"}
    vit, resnet = shown_with(results, claims, "F2", "variance", made.variance_table(list(models), [0, 1]), models)
    # 1 + unit, 0.05 as the mean of the seeds, and a quarter of 0.4: the second group has 2 of 8 images.
    assert "1.150 at the first, 13.150 at the last of 13 units" in vit
    mean = np.mean([1.777, 1.887, 2.648, 2.17, 2.535, 2.167, 2.366, 2.503, 2.272])
    assert f"× {7.15 / mean:.1f}, ImageNet-1K: {1.777 * round(7.15 / mean, 1):.3f}" in vit
    assert resnet.endswith("1.150 at the first, 7.150 at the last of 7 units.")


def test_lesions_are_bars_beside_the_papers(results, tmp_path):
    claims = made.catalogue(tmp_path, curves=made.CURVES.replace("delta_log_amplitude", "lesion_delta_accuracy"))
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
    claims = made.catalogue(tmp_path, curves=made.CURVES.replace('quantity = "delta_log_amplitude"', series))
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
    claims = made.catalogue(tmp_path, curves=made.CURVES.replace('quantity = "delta_log_amplitude"', series))
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


NORMAL = {"allow_subnormal": False}


@given(st.lists(st.floats(-2, 2, **NORMAL), min_size=2, max_size=2), st.floats(-3, 3), st.floats(-2, 2))
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
def test_colours_change_evenly_below_the_highest_rise_and_within_the_flattest_network(highest):
    scale = common_scale([[pd.DataFrame([[0.0, rise], [np.nan, 0.0]])] for rise in highest])
    assert len(scale.levels) == 8
    assert scale.ceiling == min(highest)
    step = np.log10(scale.levels[-1] / scale.levels[0]) / 7
    assert np.allclose(np.diff(np.log10(scale.levels)), step, atol=0.03)
    assert scale.levels[-1] < max(highest) <= 3.5 * scale.levels[-1]
    assert step == pytest.approx(2, abs=0.03) or scale.levels[0] <= min(highest) / 10
    assert step == pytest.approx(0.5, abs=0.03) or max(highest) > 300 * min(highest)


L4_SERIES = """
[[L4]]
name = "ViT-Ti"
model = "vit_tiny"
role = "{role}"
quantity = "{quantity}"
over = "{over}"
x = {x}
values = {values}
"""


L4_MODELS = 'models = {vit = "vit_tiny", resnet = "resnet50"}\n'
STUDIES = """studies.heads = { axis = "heads", power_law = true }
studies.data = { axis = "share of the training images" }
"""


def with_series(folder: Path, *series: tuple[str, str, str, list[float], list[float]]) -> Catalogue:
    """The catalogue in which the paper has these (role, quantity, over, x, values) for L4."""
    names = ("role", "quantity", "over", "x", "values")
    added = "".join(L4_SERIES.format(**dict(zip(names, one, strict=True))) for one in series)
    return made.catalogue(folder, made.CATALOGUE.replace(L4_MODELS, L4_MODELS + STUDIES), made.CURVES + added)


def table_rows(text: str) -> list[list[str]]:
    """The cells of the last table of this class in the text, row by row, as read."""
    body = text.split('<table class="grid">')[-1].split("<tbody>")[1].split("</tbody>")[0]
    return [[words(cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.S)] for row in body.split("</tr>")[:-1]]


SPECTRA = {"resnet": [10, 20, 30, 40], "vit": [2, 8, -1, 0.25]}


def test_spectra_with_and_without_l2_and_their_numbers(results, tmp_path):
    claims = with_series(tmp_path, ("vit", "ape", "epoch after warm-up", [0, 100, 300], [46, 120, 565]))
    table = made.hessian_table(MICRO, [0, 1], SPECTRA)
    labels = shown_with(results, claims, "L4", "hessian", table, MICRO, after=1 / 3)
    text = section(built(results, claims), "L4")
    assert "Hessian eigenvalues, after 1/3 of training" in words(text)
    assert [label.split(":")[0] for label in labels] == [
        f"Hessian eigenvalues, NLL {loss}" for loss in ("+ l2", "alone")
    ]
    assert "resnet (resnet_micro) NEP 0.0 %, APE 35.4" in labels[0]  # the root of 25 times 50
    assert "vit (vit_micro) NEP 25.0 %, APE 4.83" in labels[0]  # the root of 10.25 / 3 times 20.5 / 3
    # Without l2 ViT has 1.5, 7.5, -1.5, -0.25 in the first seed; 3.5, 15.5, -2.5 and 0, of no sign, in the second.
    resnet, vit = table_rows(text)
    assert resnet[1:] == ["0.0 0.0 to 0.0", "35.4 25.0 to 50.0", "0.0 0.0 to 0.0", "34.8 24.5 to 49.5", "–", "–"]
    assert vit[:3] == ["vit vit_micro", "25.0 25.0 to 25.0", "4.83 3.42 to 6.83"]
    assert vit[3:] == ["37.5 25.0 to 50.0", "6.54 4.50 to 9.50", "–", "120"]
    head = text.split("<thead>")[1].split("</thead>")[0]
    assert re.findall(r'<th scope="colgroup" colspan="2">(.*?)</th>', head) == [
        "NLL + l2",
        "NLL alone",
        "paper, CIFAR-100",
    ]
    assert head.count('<th scope="col">') == 7
    assert text.count('<th scope="row">') == 2


@pytest.mark.parametrize(
    ("about", "says", "paper"),
    [
        ({"after": 0.0}, "after warm-up", "46"),
        ({"after": 1.0}, "at the end of training", "565"),
        ({"after": 2 / 3}, "after 2/3 of training", None),  # no such point
        ({"after": 0.0, "augment": False}, "after warm-up, clean images", None),  # the paper measured none
        ({"after": 0.0, "convention": "official"}, "after warm-up, power iteration", "46"),
    ],
)
def test_the_papers_spectra_are_of_the_same_moment_and_images(results, tmp_path, about, says, paper):
    claims = with_series(tmp_path, ("vit", "ape", "epoch after warm-up", [0, 300], [46, 565]))
    official = "convention" in about
    table = made.hessian_table({"vit": "vit_micro"}, [0], SPECTRA, losses=(True,) if official else (False, True))
    labels = shown_with(results, claims, "L4", "any-name", table, {"vit": "vit_micro"}, probe="hessian", **about)
    text = section(built(results, claims), "L4")
    assert len(labels) == (1 if official else 2)
    assert f"<b>Hessian eigenvalues, {says}.</b>" in text
    (vit,) = table_rows(text)
    assert vit == ["vit vit_micro", "25.0", "3.42"] + ([] if official else ["50.0", "4.50"]) + (
        ["–", paper] if paper else []
    )


def test_bins_keep_the_signs_apart(results, claims):
    from harness.report.figures.hessian import bins

    values = np.array([-3.0, -0.02, 0.01, 0.5, 700.0])
    edges = bins(values)
    assert 0.0 in edges
    assert edges[0] <= -3.0
    assert edges[-1] >= 700.0
    assert (np.diff(edges) > 0).all()
    counts, _ = np.histogram(values, edges)
    assert counts[edges[1:] <= 0].sum() == 2


def test_a_spectrum_without_positive_eigenvalues_has_no_ape(results, claims):
    table = made.hessian_table({"vit": "vit_micro"}, [0], {"vit": [-2, -1]})
    (label, _) = shown_with(results, claims, "L4", "hessian", table, {"vit": "vit_micro"})
    assert "NEP 100.0 %, APE –" in label
    table.loc[3, "eigenvalue"] = np.nan
    made.write_table(results, "tables/L4/extra/hessian.parquet", table)
    assert "a Hessian eigenvalue is not finite" in built(results, claims)


def test_a_study_is_drawn_over_what_it_varies_beside_the_papers(results, tmp_path):
    claims = with_series(tmp_path, ("vit", "ape", "heads", [1, 2, 4, 9], [100, 50, 25, 100 / 9]))
    models = {f"vit_heads_{heads}": f"vit_micro(heads={heads})" for heads in (4, 1, 2)}
    values = {role: [90 / int(role[-1]) ** 2] for role in models}
    points = {role: Point(of="vit", study="heads", at=int(role[-1])) for role in models}
    table = made.hessian_table(models, [0], values)
    labels = shown_with(results, claims, "L4", "hessian", table, models, after=0.0, points=points)
    (ape,) = (label for label in labels if label.startswith("APE against heads"))
    minus = "\N{MINUS SIGN}"
    assert f"vit, ours (slope\N{NO-BREAK SPACE}{minus}2.00): 1: 90.0, 2: 22.5, 4: 5.6;" in ape
    assert f"CIFAR-100 (slope\N{NO-BREAK SPACE}{minus}1.00): 1: 100.0, 2: 50.0, 4: 25.0, 9: 11.1." in ape
    assert any(label.startswith("NEP against heads. vit, ours: 1: 0.0 %") for label in labels)
    text = section(built(results, claims), "L4")
    assert [row[-1] for row in table_rows(text)] == ["25", "100", "50"]
    late = shown_with(results, claims, "L4", "hessian", table, models, points=points)
    assert not any("paper" in label for label in late)  # its studies of spectra end with the warm-up


def test_too_few_points_make_no_study(results, claims):
    models = dict.fromkeys(("one", "two", "weak", "strong"), "vit_micro")
    places = (("heads", 1), ("heads", 2), ("augmentation", "weak"), ("augmentation", "strong"))
    points = {role: Point(of="vit", study=name, at=at) for role, (name, at) in zip(models, places, strict=True)}
    table = made.hessian_table(models, [0], {role: [1.0] for role in models})
    assert len(shown_with(results, claims, "L4", "hessian", table, models, after=0.0, points=points)) == 2


def test_a_study_of_words_stands_in_the_order_of_its_points(results, tmp_path):
    kernels = 'studies.kernel = { axis = "kernel size" }\n'
    curve = L4_SERIES.format(
        role="vit", quantity="error", over="kernel", x='[3, 5, "global"]', values="[27.9, 28.1, 28.9]"
    )
    text = made.CATALOGUE.replace(L4_MODELS, L4_MODELS + kernels)
    claims = made.catalogue(tmp_path, text, made.CURVES + curve)
    models = {"everywhere": "c", "five": "b", "three": "a"}
    points = {role: Point(of="vit", study="kernel", at=at) for role, at in zip(models, ("global", 5, 3), strict=True)}
    table = made.prediction_table(models, [0])
    dots, course = shown_with(results, claims, "L4", "prediction", table, models, points=points)
    wrong = {role: f"{100 * (1 - share):.1f} %" for role, share in table.groupby("role")["correct"].mean().items()}
    assert f"vit, ours: 3: {wrong['three']}, 5: {wrong['five']}, global: {wrong['everywhere']}" in course
    assert "CIFAR-100: 3: 27.9 %, 5: 28.1 %, global: 28.9 %" in course
    assert f"everywhere (c) {wrong['everywhere']}; paper: ViT-Ti, CIFAR-100 28.9 %" in dots


def test_less_data_is_a_study_that_ends_in_the_role_itself(results, tmp_path):
    claims = with_series(tmp_path, ("vit", "error", "data", [0.0625, 0.25, 1], [75.17, 53.7, 34.77]))
    models = {"vit_data_1_16": "a", "vit_data_1_4": "b", "vit": "c"}
    table = made.prediction_table(models, [0, 1])
    shares = {"vit_data_1_16": 1 / 16, "vit_data_1_4": 1 / 4}
    points = {role: Point(of="vit", study="data", at=share) for role, share in shares.items()}
    dots, study = shown_with(results, claims, "L4", "prediction", table, models, points=points)
    wrong = 100 * (1 - table.groupby("role")["correct"].mean())
    assert f"vit_data_1_16 (a) {wrong['vit_data_1_16']:.1f} %; paper: ViT-Ti, CIFAR-100 75.17 %" in dots
    assert f"vit (c) {wrong['vit']:.1f} %; paper: ViT-Ti, CIFAR-100 34.77 %" in dots
    ours = ", ".join(f"{share}: {wrong[role]:.1f} %" for share, role in zip(("1/16", "1/4", "1"), models, strict=True))
    assert study.startswith(f"Error against share of the training images. vit, ours: {ours};")


def test_the_fit_and_the_papers_on_an_axis_of_its_own(results, tmp_path):
    claims = with_series(tmp_path, ("vit", "error", "nll_train", [2.522], [33.49]))
    ours, theirs = shown_with(results, claims, "L4", "fit", made.fit_table(MICRO, [0, 1]), MICRO)
    # A quarter of the images has 4 nats more.
    assert ours == "NLL_train: resnet (resnet_micro) 2.000 nats; vit (vit_micro) 3.000 nats."
    assert theirs == "The paper's NLL_train: ViT-Ti 2.522 nats."
    assert "only the order compares" in words(section(built(results, claims), "L4"))


PROTOCOLS = """
protocols."augmented, with l2" = { augment = true, l2 = true }
protocols."clean, with l2" = { augment = false, l2 = true }
protocols."clean, without l2" = { augment = false, l2 = false }
"""


@pytest.fixture
def disputes(tmp_path):
    return made.catalogue(tmp_path, made.CATALOGUE.replace(L4_MODELS, L4_MODELS + PROTOCOLS))


def disputed(results: Path, claims: Catalogue, halves: dict[str, float]) -> str:
    """A case that is judged with and without l2, by APE ratios of 1 with these half widths."""
    effects = [
        made.effect(f"effect {number}", 1.0, half, unit="log ratio", quantity="ape", protocol=name)
        for number, (name, half) in enumerate(halves.items())
    ]
    about = {"quantity": "nep", "protocol": "clean, with l2"}
    effects.append(made.effect("more", 0.25, 0.05, unit="share", decides=False, **about))
    tables = [
        made.write_table(
            results,
            f"tables/L4/extra/{name}.parquet",
            made.hessian_table(MICRO, [0, 1], SPECTRA),
            probe="hessian",
            after=0.0,
            augment=augment,
        )
        for name, augment in (("one", True), ("other", False))
    ]
    verdicts = by_protocol(effects, Look(3, (3,)))
    write_evidence(
        results, "extra", made.evidence(claims, "L4", effects, models=MICRO, tables=tables, protocols=verdicts)
    )
    return section(built(results, claims), "L4").split("Protocol by protocol")[1].split("<figure")[0]


def test_a_disputed_claim_is_laid_out_protocol_by_protocol(results, disputes):
    claims = disputes
    text = disputed(results, claims, {"augmented, with l2": 0.5, "clean, with l2": 2.0, "clean, without l2": 0.5})
    augmented, clean, without = table_rows(text)
    minus = "\N{MINUS SIGN}"
    assert augmented == ["augmented, with l2", "35.4", "4.83", "1.00 [0.50, 1.50]", "0.0", "25.0", "–", "✓ agrees"]
    assert clean[3:] == [f"1.0 [{minus}1.0, 3.0]", "0.0", "25.0", "25.0 [20.0, 30.0]", "? inconclusive"]
    assert without[:3] == ["clean, without l2", "34.8", "6.54"]
    assert "the verdict depends on it" in text
    assert "agrees: augmented, with l2 / clean, without l2; inconclusive: clean, with l2" in words(text)
    same = disputed(results, claims, {"augmented, with l2": 0.5, "clean, with l2": 0.5})
    assert "agrees under all of them" in words(same)
    (results / "tables/L4/extra/one.parquet").unlink()
    page = section(built(results, claims), "L4")
    assert "one.parquet is missing" in words(page)
    assert table_rows(page.split("Protocol by protocol")[1].split("<figure")[0])[0][:3] == [
        "augmented, with l2",
        "–",
        "–",
    ]


def test_a_case_of_one_protocol_has_no_such_table(example):
    assert "Protocol by protocol" not in example.text


@pytest.mark.parametrize(
    ("role", "family"),
    [
        ("any name", "vit"),
        ("vit_large", "vit"),
        ("preact_resnet", "preact_resnet"),
        ("vitamin", "other"),
    ],
)
def test_a_variant_has_the_colour_of_what_it_varies(role, family):
    paper = Paper([], "", "", points={"any name": Point(of="vit", study="heads", at=6)})
    assert paper.colour(role) == ROLES[family]


def test_every_colour_of_a_role_is_there_in_both_schemes():
    css = (ROOT / "harness/report/templates/report.css").read_text()
    assert all(css.count(f"--{role.replace('_', '-')}: #") == 2 for role in ROLES)


def test_a_probe_without_a_figure_is_named(results, claims):
    table = made.write_table(
        results, "tables/L4/digits/colour.parquet", pd.DataFrame({"role": ["a"], "model": "b", "seed": 0})
    )
    write_evidence(results, "digits", made.evidence(claims, "L4", [made.effect("error gap", 1, 0.5)], tables=[table]))
    text = words(section(built(results, claims), "L4"))
    assert "no figure for the probe 'colour'" in text
    assert table in text


def test_the_same_evidence_gives_the_same_bytes(example):
    assert built(example.results, example.claims) == example.text


def test_what_did_not_change_is_not_drawn_again(tmp_path, claims, monkeypatch):
    results = made.results_folder(tmp_path / "own", claims)
    first = built(results, claims)
    kept = {path.name for path in (results / "drawings").iterdir()}
    assert len(kept) == 3  # F2, F3, A2
    with monkeypatch.context() as context:
        context.setattr("harness.report.figures.draw", lambda *_: pytest.fail("drawn again"))
        assert built(results, claims) == first
    path = results / "tables/A2/digits/prediction.parquet"
    pd.read_parquet(path).assign(correct=0.0).to_parquet(path)
    changed = built(results, claims)
    assert section(changed, "A2") != section(first, "A2")
    assert section(changed, "F2") == section(first, "F2")
    now = {path.name for path in (results / "drawings").iterdir()}
    assert len(now) == 3  # what the page no longer shows is forgotten
    assert len(now - kept) == 1
    (new,) = now - kept
    (results / "drawings" / new).write_text('[{"name": "half')
    assert built(results, claims) == changed


def test_a_case_names_the_test_that_judged_it(results, claims, tmp_path):
    for test, shown in (
        ("claims/test_x.py:7", '<a href="../claims/test_x.py#L7"><code>claims/test_x.py:7</code></a>'),
        ("claims/test_gone.py:7", "Judged by <code>claims/test_gone.py:7</code>"),
    ):
        (tmp_path / "claims").mkdir(exist_ok=True)
        (tmp_path / "claims" / "test_x.py").touch()
        judged = made.evidence(claims, "L4", [made.effect("error gap", 1, 0.5)])
        origin = judged.provenance.model_copy(update={"test": test})
        write_evidence(results, "digits", judged.model_copy(update={"provenance": origin}))
        page = built(results, made.catalogue(tmp_path / "claims"))
        assert shown in section(page, "L4")


def test_no_deviation_is_said_to_be_the_papers_protocol(results, claims):
    write_evidence(results, "digits", made.evidence(claims, "L4", [made.effect("error gap", 1, 0.5)], deviations=[]))
    assert "none: the paper's own protocol" in words(section(built(results, claims), "L4"))


def test_an_effect_without_value_or_interval_is_a_dash(results, claims):
    bare = made.effect("error gap", 3.25, 1).model_copy(update={"low": None, "high": None})
    write_evidence(results, "a", made.evidence(claims, "L4", [bare]))
    write_evidence(results, "b", made.evidence(claims, "L4", [made.effect("error gap", None, 0)]))
    text = words(section(built(results, claims), "L4"))
    assert "3.25 nats – 3 seeds" in text
    assert "0 – – 3 seeds" not in text
    assert "error gap decides – – 3 seeds" in text


def test_a_fault_is_an_error_in_the_page_and_no_verdict(results, claims):
    fault = made.evidence(claims, "L4", [], verdict="not run", fault=True, reason="out of memory")
    write_evidence(results, "digits", fault)
    text = built(results, claims)
    assert "! error out of memory" in words(section(text, "L4"))
    tally = words(text.split('<ul class="tally"')[1].split("</ul>")[0])
    assert "1 ! error" in tally
    assert "3 – not run" in tally  # A2 on CIFAR-10, F3's other part, L7


def test_an_empty_folder_lists_the_whole_catalogue(tmp_path, claims):
    text = built(tmp_path / "empty", claims)
    Page(text)
    assert "holds no evidence yet" in text
    assert words(text).count("No evidence in this folder") >= 3
    assert "no evidence for F2, F3, A2, L4, L7" in report.verdict_table(tmp_path / "empty", claims)


def test_evidence_that_is_none_stops_the_report(results, claims):
    path = evidence_path(results, "F2", "digits")
    path.write_text(path.read_text().replace('"digits"', "7"))
    with pytest.raises(HarnessError, match=r"digits\.json is not evidence of schema 1 or 2: case\.dataset"):
        report.build(results, claims)
    with pytest.raises(HarnessError):
        report.verdict_table(results, claims)


def test_the_verdict_table_fits_a_terminal(results, claims, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    long = made.effect("a name that goes on and on " * 3, 1e6, 2.5e5, unit="images a second")
    case = CaseRecord(dataset="digits", dataset_title="Digits", models={}, seeds=[0])
    write_evidence(results, "a-very-long-case-name-" * 3, made.evidence(claims, "L4", [long], case=case))
    text = report.verdict_table(results, claims)
    assert max(map(len, text.splitlines())) <= 120
    assert re.search(r"F2 +digits +agrees +attention step, sign turned +0\.25 \[0\.15, 0\.35\] nats +0\.098", text)
    assert re.search(r"A2 +digits +disagrees +accuracy gain +-1\.25 \[-2\.15, -0\.35\] pp +1\.54", text)
    assert "no evidence for F3 (Swin), L7" in text
    assert text.endswith(
        "0 reproduced, 2 agrees, 0 contradicted, 1 disagrees, 0 negligible, 1 inconclusive, 0 out of scope, 3 not run\n"
    )


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
        read_table(tmp_path / "nothing.parquet")


@pytest.mark.parametrize(
    ("value", "places", "shown"),
    [(-0.126, 2, "−0.13"), (-0.001, 2, "0.00"), (None, 2, "–"), (12.0, 0, "12"), (float("-inf"), 1, "−∞")],
)
def test_fixed(value, places, shown):
    assert numbers.fixed(value, places) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(0.42, "0.4 s"), (75, "1 min 15 s"), (3661, "1 h 1 min")])
def test_duration(seconds, shown):
    assert numbers.duration(seconds) == shown
