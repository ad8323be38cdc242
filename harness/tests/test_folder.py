"""A results folder is of one profile and one subject, and says so."""

from __future__ import annotations

import json

import pytest

from harness.errors import HarnessError
from harness.judging.folder import claim_folder
from harness.plan.profile import load_profile


def test_another_profile_or_subject_is_refused_and_told_what_to_do(tmp_path):
    quick, mini = load_profile("quick"), load_profile("mini")
    results = tmp_path / "results"
    assert claim_folder(results, quick) is None
    assert claim_folder(results, quick) is None
    with pytest.raises(HarnessError, match=r"results of profile quick; give profile mini a folder .* --results"):
        claim_folder(results, mini)
    (tmp_path / "net.py").write_text("def make(num_classes, image_size): ...\n")
    own = quick.with_subject(f"resnet={tmp_path}/net.py:make")
    with pytest.raises(HarnessError, match=r"give profile quick with resnet=net\.py:make a folder of its own"):
        claim_folder(results, own)
    assert json.loads((results / "set.json").read_text())["profile"] == "quick"


def test_a_change_is_said_once(tmp_path):
    (tmp_path / "net.py").write_text("def make(num_classes, image_size): ...\n")
    own = load_profile("quick").with_subject(f"{tmp_path}/net.py:make")
    assert claim_folder(tmp_path / "results", own) is None
    (tmp_path / "net.py").write_text("def make(num_classes, image_size): return 1\n")
    assert "with vit=net.py:make has changed since" in claim_folder(tmp_path / "results", own)
    assert claim_folder(tmp_path / "results", own) is None


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(HarnessError, match=r"--results") as caught:
        claim_folder(tmp_path / "file" / "results", load_profile("quick"))
    assert "\n" not in str(caught.value)
