"""Verdicts drawn again from a results folder: what is only called something else changes nothing, all else is said."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from harness import report
from harness.judging.again import judge_again, load_tests
from harness.plan.catalogue import load_catalogue

ROOT = Path(__file__).parents[2]
MINI = ROOT / "results" / "reference" / "mini"
TESTS = load_tests(ROOT / "claims")


@pytest.fixture
def folder(tmp_path):
    """A copy of one claim's part of the reference set."""

    def copy(*claims):
        for kind in ("evidence", "tables"):
            for claim in claims:
                shutil.copytree(MINI / kind / claim, tmp_path / "results" / kind / claim)
        return tmp_path / "results"

    return copy


@pytest.fixture
def catalogue(tmp_path):
    """The catalogue, with some of its words replaced."""

    def load(**replaced):
        text = (ROOT / "claims" / "catalogue.toml").read_text(encoding="utf-8")
        for old, new in replaced.items():
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "claims").mkdir(exist_ok=True)
        (tmp_path / "claims" / "catalogue.toml").write_text(text, encoding="utf-8")
        shutil.copy(ROOT / "claims" / "curves.toml", tmp_path / "claims")
        return load_catalogue(tmp_path / "claims" / "catalogue.toml")

    return load


def evidence_of(results, claim):
    (path,) = (results / "evidence" / claim).glob("*.json")
    return path, json.loads(path.read_text())


def test_the_command_judges_the_committed_evidence_and_says_why_a_verdict_is_another_without_torch():
    """The rules have changed since; no case is left without a verdict, and none changes without a word."""
    code = (
        f"import sys; sys.argv = ['harness', 'judge', {str(MINI)!r}]\n"
        "from harness.__main__ import main\n"
        "try:\n    main()\n"
        "finally:\n    print([name for name in ('torch', 'timm', 'torchvision', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    *lines, sums, loaded = done.stdout.splitlines()
    assert loaded == "[]"
    today, why = {}, {}
    for line in lines:
        if line.startswith(" "):
            why[list(why)[-1]].append(line.strip())
        else:
            claim, name, said = line.split(maxsplit=2)
            today[claim, name], why[claim, name] = said, []
    before = {
        (path.parent.name, path.stem): json.loads(path.read_text())["verdict"]
        for path in MINI.glob("evidence/*/*.json")
    }
    assert list(today) == sorted(before)
    changed = [case for case in before if today[case] != before[case]]
    assert sums == f"24 cases: {24 - len(changed)} verdicts as in the evidence, {len(changed)} others"
    assert done.returncode == bool(changed)
    for case in changed:
        assert today[case].startswith(f"{before[case]} -> ")
        assert today[case].endswith(("reproduced", "contradicted", "negligible", "inconclusive"))
        assert why[case]


def test_a_renamed_table_and_a_renamed_role_change_nothing(folder, catalogue):
    results = folder("L16", "D1")
    before = [(case.verdict, case.why) for case in judge_again(results, catalogue(), TESTS)]
    for claim in ("L16", "D1"):
        path, evidence = evidence_of(results, claim)
        for number, table in enumerate(evidence["tables"]):
            (results / table).rename(results / f"tables/{claim}/{number}.parquet")
        text = json.dumps(
            {**evidence, "tables": [f"tables/{claim}/{n}.parquet" for n in range(len(evidence["tables"]))]}
        )
        path.write_text(text.replace("vit_heads_6", "half a dozen"))
        for table in results.glob(f"tables/{claim}/*.parquet"):
            rows = pd.read_parquet(table)
            rows.assign(role=rows["role"].replace("vit_heads_6", "half a dozen")).to_parquet(table)
    assert [(case.verdict, case.why) for case in judge_again(results, catalogue(), TESTS)] == before
    page = report.build(results, catalogue()).read_text()
    assert "Protocol by protocol" in page
    assert "No figure" not in page
    assert "half a dozen" in page


def test_a_role_that_no_table_has_is_an_error_that_names_it(folder, catalogue):
    results = folder("L2")
    for path in (results / "evidence" / "L2").glob("*.json"):
        path.write_text(path.read_text().replace('"vit":', '"vitt":'))
    judged = list(judge_again(results, catalogue(), TESTS))
    assert [case.verdict for case in judged] == [None, None]
    assert all("no role 'vit'; did you mean 'vitt'?" in case.why[0] for case in judged)


def test_a_reworded_effect_is_an_error_in_the_test_and_keeps_its_place_in_the_report(folder, catalogue):
    results = folder("D1")
    old, new = "clean, with l2: ResNet APE above ViT APE", "ViT the flatter, on clean images"
    reworded = catalogue(**{old: new})
    (case,) = judge_again(results, reworded, TESTS)
    assert case.changed
    assert case.why == [f"claim D1: the rule names no effect {old!r}; {case.why[0].partition('; ')[2]}"]
    before = report.build(results, catalogue()).read_text().split("Protocol by protocol")[1].split("</table>")[0]
    path, evidence = evidence_of(results, "D1")
    path.write_text(json.dumps(evidence).replace(old, new))
    after = report.build(results, reworded).read_text().split("Protocol by protocol")[1].split("</table>")[0]
    assert after == before


def test_another_rule_and_another_statistic_are_said(folder, catalogue):
    results = folder("D2", "L3")
    rule = 'name = "ResNet NEP below 2 %", unit = "share", null = '
    changed = catalogue(**{f"{rule}0.0": f"{rule}-1.0"})
    (table,) = (results / "tables" / "D2" / "cifar10").glob("*official*")
    rows = pd.read_parquet(table)
    swapped = rows["role"].map({"vit": "resnet", "resnet": "vit"})
    rows.assign(role=swapped).to_parquet(table)
    two, three = judge_again(results, changed, TESTS)
    assert (two.before, two.verdict) == ("reproduced", "contradicted")
    assert any(why.startswith("another statistic: 'power iteration: ViT NEP above ResNet NEP' was ") for why in two.why)
    assert three.why == ["another rule"]


def test_a_table_that_is_gone_or_says_nothing_of_itself_is_named(folder, catalogue):
    results = folder("L3", "L5")
    (results / "tables/L3/cifar10/hessian-warmup.parquet").unlink()
    table = results / "tables/L5/cifar10/fit.parquet"
    pd.read_parquet(table).drop(columns=["probe", "after"]).to_parquet(table)
    three, five = judge_again(results, catalogue(), TESTS)
    assert "cannot read" in three.why[0]
    assert "hessian-warmup.parquet" in three.why[0]
    assert "has no column probe, after" in five.why[0]
    assert "judge the claim again from its store" in five.why[0]
