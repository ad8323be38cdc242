"""Verdicts for programs: what stands in the files is what the evidence says, in columns that stay where they are."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.judging.evidence import LookRecord, evidence_path, read_all_evidence, read_evidence, write_evidence
from harness.report.summary import summarise
from harness.report.verdicts import write_verdicts
from harness.tests import report_fixtures as made

ROOT = Path(__file__).parents[2]
CASE = ["claim", "part", "case", "dataset", "networks", "verdict", "said", "seeds", "look", "looks", "rule"]
EFFECT = ["name", "unit", "value", "low", "high", "level", "null", "n", "replicate", "paper", "paper_source"]


@pytest.fixture
def written(tmp_path):
    claims = made.catalogue(tmp_path)
    results = made.results_folder(tmp_path, claims, probes=())
    f2 = read_evidence(evidence_path(results, "F2", "digits"))
    write_evidence(results, "digits", f2.model_copy(update={"look": LookRecord(seeds=3, of=[3, 5], level=0.98)}))
    fault = made.evidence(claims, "L4", [], verdict="not run", fault=True, reason="no memory, said the system; sorry")
    write_evidence(results, "digits", fault)
    write_verdicts(results, summarise(results, claims))
    return results


def test_each_case_is_a_row_with_what_its_evidence_says(written):
    found = json.loads((written / "verdicts.json").read_text())
    everything = read_all_evidence(written)
    assert found["schema"] == 1
    assert {(row["claim"], row["case"]) for row in found["cases"]} == set(everything)
    for row in found["cases"]:
        evidence = everything[row["claim"], row["case"]]
        assert row["verdict"] == evidence.verdict
        assert row["networks"] == evidence.case.models
        assert [effect["value"] for effect in row["effects"]] == [
            effect.value for effect in evidence.effects if effect.decides
        ]
    rows = {(row["claim"], row["case"]): row for row in found["cases"]}
    f2 = rows["F2", "digits"]
    assert (f2["said"], f2["seeds"], f2["look"], f2["looks"]) == ("agrees", 3, 3, [3, 5])
    step = f2["effects"][0]
    assert (step["paper"], step["paper_source"]) == (0.098, "Fig 8, digitised")
    assert rows["L4", "digits"]["said"] == "error"
    assert rows["F3", "digits-PiT"]["part"] == "PiT"


def test_the_columns_of_the_csv_stand_where_they_are_documented(written):
    head, *rows = csv.reader((written / "verdicts.csv").open(newline=""))
    assert head == ["schema", *CASE, *(f"effect{number}_{name}" for number in (1, 2) for name in EFFECT)]
    assert all(len(row) == len(head) and row[0] == "1" for row in rows)
    documented = (ROOT / "docs" / "verdicts.md").read_text()
    assert all(f"`{name}`" in documented for name in (*CASE, *EFFECT))


def test_csv_and_json_say_the_same(written):
    cases = json.loads((written / "verdicts.json").read_text())["cases"]
    rows = list(csv.DictReader((written / "verdicts.csv").open(newline="")))
    for row, case in zip(rows, cases, strict=True):
        assert [row[name] for name in ("claim", "case", "verdict", "rule")] == [
            case[name] for name in ("claim", "case", "verdict", "rule")
        ]
        assert row["networks"] == "; ".join(f"{role}={network}" for role, network in case["networks"].items())
        for number, effect in enumerate(case["effects"], 1):
            assert float(row[f"effect{number}_low"]) == effect["low"]
            assert row[f"effect{number}_paper"] == ("" if effect["paper"] is None else str(effect["paper"]))


def test_a_report_leaves_them_without_torch(written):
    for name in ("verdicts.json", "verdicts.csv"):
        (written / name).unlink()
    code = (
        f"import sys; sys.argv = ['harness', 'report', {str(written)!r}]\n"
        "from harness.__main__ import main\nmain()\nprint('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.stdout.splitlines()[-1:] == ["False"], done.stderr
    assert (written / "verdicts.json").is_file()
    assert (written / "verdicts.csv").is_file()
