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
from harness.__main__ import main
from harness.judging.again import judge_again, load_tests
from harness.judging.comparison import compare, read_set
from harness.plan.catalogue import load_catalogue

ROOT = Path(__file__).parents[2]
QUICK = ROOT / "results" / "reference" / "quick"
KEPT = Path(__file__).parent / "kept"  # D1 on digits, which `quick` has no time for: several protocols
OLD = Path(__file__).parent / "kept_schema_1"  # three claims on CIFAR-10, judged before there were looks
TESTS = load_tests(ROOT / "claims")


@pytest.fixture
def folder(tmp_path):
    """A copy of one claim's part of the reference set."""

    def copy(*claims):
        for kind in ("evidence", "tables"):
            for claim in claims:
                there = QUICK if (QUICK / kind / claim).is_dir() else KEPT
                shutil.copytree(there / kind / claim, tmp_path / "results" / kind / claim)
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


def judged_by_command(results):
    code = (
        f"import sys; sys.argv = ['harness', 'judge', {str(results)!r}]\n"
        "from harness.__main__ import main\n"
        "try:\n    main()\n"
        "finally:\n    print([name for name in ('torch', 'timm', 'torchvision', 'matplotlib') if name in sys.modules])"
    )
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_the_command_gives_the_committed_verdicts_without_torch():
    done = judged_by_command(QUICK)
    *lines, sums, loaded = done.stdout.splitlines()
    cases = [line for line in lines if not line.startswith(" ")]
    before = {
        (path.parent.name, path.stem): evidence["verdict"]
        for path in sorted(QUICK.glob("evidence/*/*.json"))
        if (evidence := json.loads(path.read_text()))["tables"] or evidence["verdict"] != "out of scope"
    }
    assert loaded == "[]"
    assert [tuple(line.split(maxsplit=2)) for line in cases] == [(*case, verdict) for case, verdict in before.items()]
    # Numbers of single networks were judged by a wider interval then; each that differs is said.
    assert all(line.lstrip().startswith("another statistic: ") for line in lines if line not in cases)
    assert sums == f"{len(before)} cases: {len(before)} verdicts as in the evidence, 0 others"
    assert done.returncode == 0


def test_evidence_of_schema_1_is_judged_by_todays_rules_and_each_change_explained():
    done = judged_by_command(OLD)
    *lines, sums, _ = done.stdout.splitlines()
    cases = [line for line in lines if not line.startswith(" ")]
    assert [" ".join(case.split()) for case in cases] == [
        "D1 cifar10 reproduced -> cannot be judged",
        "D2 cifar10 reproduced -> inconclusive",
        "L11 cifar10 inconclusive",
    ]
    assert sums.startswith("3 cases: ")
    for case, after in zip(lines, [*lines[1:], ""], strict=True):
        if "->" in case:
            assert after.startswith(" "), case
    assert done.returncode == 1


def test_a_renamed_table_and_a_renamed_role_change_nothing(folder, catalogue):
    results = folder("L6", "D1")
    before = [(case.verdict, case.why) for case in judge_again(results, catalogue(), TESTS)]
    assert [why for _, why in before] == [[]] * 3
    for path in results.glob("evidence/*/*.json"):
        evidence, there = json.loads(path.read_text()), results / "tables" / path.parent.name / path.stem
        for kind in ("tables", "support"):
            for number, table in enumerate(evidence[kind]):
                renamed = there / f"{kind}-{number}.parquet"
                (results / table).rename(renamed)
                evidence[kind][number] = renamed.relative_to(results).as_posix()
        path.write_text(json.dumps(evidence).replace("vit_gap", "the pooled one"))
        for table in there.glob("*.parquet"):
            rows = pd.read_parquet(table)
            rows.assign(role=rows["role"].replace("vit_gap", "the pooled one")).to_parquet(table)
    assert [(case.verdict, case.why) for case in judge_again(results, catalogue(), TESTS)] == before
    page = report.build(results, catalogue()).read_text()
    assert "Protocol by protocol" in page
    assert "No figure" not in page
    assert "the pooled one" in page


def test_a_role_that_no_table_has_is_an_error_that_names_it(folder, catalogue):
    results = folder("L2")
    for path in (results / "evidence" / "L2").glob("*.json"):
        path.write_text(path.read_text().replace('"vit":', '"vitt":'))
    judged = list(judge_again(results, catalogue(), TESTS))
    assert [case.verdict for case in judged] == [None]
    assert all("did you mean 'vitt'?" in case.why[0] or "no rows of vitt" in case.why[0] for case in judged)


def test_a_reworded_effect_is_an_error_in_the_test_and_keeps_its_place_in_the_report(folder, catalogue):
    results = folder("D1")
    old, new = "end, batch statistics: ResNet APE above ViT APE", "ViT the flatter, by batch statistics"
    reworded = catalogue(**{old: new})
    convexity, flatness = judge_again(results, reworded, TESTS)
    assert (convexity.changed, flatness.changed) == (False, True)
    assert flatness.why == [f"claim D1: the rule names no effect {old!r}; {flatness.why[0].partition('; ')[2]}"]
    before = report.build(results, catalogue()).read_text().split("Protocol by protocol")[2].split("</table>")[0]
    path = results / "evidence" / "D1" / "flatness-digits.json"
    path.write_text(path.read_text().replace(old, new))
    after = report.build(results, reworded).read_text().split("Protocol by protocol")[2].split("</table>")[0]
    assert after == before


def test_another_rule_and_another_statistic_are_said(folder, catalogue):
    results = folder("L2", "L3")
    rule = 'name = "ResNet NEP below 2 %", unit = "share", within = [-0.98, 0.02], null = '
    changed = catalogue(**{f"{rule}0.0": f"{rule}-1.0"})
    table = results / "tables" / "L2" / "warmup-digits" / "hessian-warmup.parquet"
    rows = pd.read_parquet(table)
    swapped = rows["role"].map({"vit": "resnet", "resnet": "vit"})
    rows.assign(role=swapped).to_parquet(table)
    two, three = judge_again(results, changed, TESTS)
    assert (two.before, two.verdict) == ("reproduced", "contradicted")
    assert any(why.startswith("another statistic: 'warm-up: ResNet APE above ViT APE' was ") for why in two.why)
    assert three.why[0] == "another rule"


def test_a_table_that_is_gone_or_says_nothing_of_itself_is_named(folder, catalogue):
    results = folder("L3", "L6")
    (results / "tables/L3/networks-digits/hessian-warmup.parquet").unlink()
    table = results / "tables/L6/warmup-digits/hessian-warmup.parquet"
    pd.read_parquet(table).drop(columns=["probe", "after"]).to_parquet(table)
    three, six = judge_again(results, catalogue(), TESTS)
    assert "cannot read" in three.why[0]
    assert "hessian-warmup.parquet" in three.why[0]
    assert "has no column probe, after" in six.why[0]
    assert "judge the claim again from its store" in six.why[0]


def test_the_evidence_of_today_is_written_for_a_comparison(folder, monkeypatch, capsys):
    """An unchanged case compares as equal; where a table's networks changed places, its verdict is the opposite."""
    results = folder("L2", "L6")
    today = results.parent / "today"
    before = read_set(results)
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("sys.argv", ["harness", "judge", str(results), "--to", str(today)])
    main()
    after = read_set(today)
    unchanged = compare(before, after)
    assert (unchanged.turned, unchanged.shifted, unchanged.only_before) == ([], [], [])
    for evidence in after.values():
        assert all(len(effect.by_seed) == len(evidence.case.seeds) for effect in evidence.effects)
    table = results / "tables/L2/warmup-digits/hessian-warmup.parquet"
    rows = pd.read_parquet(table)
    rows.assign(role=rows["role"].map({"vit": "resnet", "resnet": "vit"})).to_parquet(table)
    with pytest.raises(SystemExit):
        main()
    (case,) = compare(before, read_set(today)).regressions
    assert (case.claim, case.turn) == ("L2", "flipped")
    assert "L2 warmup-digits               reproduced -> contradicted" in capsys.readouterr().out
