"""`python -m harness` as a person types it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def harness(*arguments):
    command = [sys.executable, "-m", "harness", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_models_lists_what_matches():
    lines = harness("models", "alter_resnet*micro").stdout.splitlines()
    assert len(lines) == 2
    assert re.fullmatch(r"alter_resnet_micro +[\d,]+ +[\d.,]+ M  1 stem, 4 conv, 2 msa, 1 head +own", lines[1])


def test_the_counts_are_those_of_the_paper():
    (row,) = harness("models", "resnet50").stdout.splitlines()[1:]
    assert "23,705,252" in row
    (row,) = harness("models", "resnet50", "--image-size", "224", "--classes", "1000").stdout.splitlines()[1:]
    assert "25,557,032" in row


def test_a_name_that_matches_nothing_is_one_line():
    done = harness("models", "resnet5")
    assert done.returncode == 1
    assert done.stderr == "error: no model matches 'resnet5'; did you mean 'resnet50'?\n"


def test_a_package_models_of_ones_own_that_comes_first_is_named(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "__init__.py").write_text("")
    command = [sys.executable, "-c", "import harness.readings"]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.stderr.splitlines()[-1].startswith(f"ImportError: `import models` finds {tmp_path}")


def test_a_report_without_evidence_is_one_line(tmp_path):
    done = harness("report", str(tmp_path))
    assert done.returncode == 1
    assert re.fullmatch(r"error: no evidence in .*make reproduce.*\n", done.stderr)
