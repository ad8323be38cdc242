"""`python -m harness` as a person types it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.__main__ import main
from harness.judging.evidence import write_evidence
from harness.plan.catalogue import load_catalogue
from harness.tests import report_fixtures as made
from harness.tests.sessions import PATIENCE_SECONDS
from harness.tests.test_data import cifar100
from harness.tests.test_session import PROFILE

ROOT = Path(__file__).parents[2]


def start(*arguments):
    command = [sys.executable, "-m", "harness", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_SECONDS)


@pytest.fixture
def harness(monkeypatch, capsys):
    """As `start`, within this process, which has loaded torch already."""

    def run(*arguments):
        monkeypatch.chdir(ROOT)
        monkeypatch.setattr("sys.argv", ["harness", *arguments])
        status = 0
        try:
            main()
        except SystemExit as end:  # as Python ends then
            status = 1
            print(end, file=sys.stderr)
        return subprocess.CompletedProcess(arguments, status, *capsys.readouterr())

    return run


def test_models_lists_what_matches(harness):
    lines = harness("models", "alter_resnet*micro").stdout.splitlines()
    assert len(lines) == 2
    assert re.fullmatch(r"alter_resnet_micro +[\d,]+ +[\d.,]+ M  1 stem, 4 conv, 2 msa, 1 head +own", lines[1])


def test_the_counts_are_those_of_the_paper(harness):
    (row,) = harness("models", "resnet50").stdout.splitlines()[1:]
    assert "23,705,252" in row
    (row,) = harness("models", "resnet50", "--image-size", "224", "--classes", "1000").stdout.splitlines()[1:]
    assert "25,557,032" in row


def test_a_name_that_matches_nothing_is_one_line(harness):
    done = harness("models", "resnet5")
    assert done.returncode == 1
    assert done.stderr == "error: no model matches 'resnet5'; did you mean 'resnet50'?\n"


def test_a_name_that_timm_has_not_is_one_line_with_the_nearest(harness):
    for given, near in (
        ("vit_tinyy", "'vit_tiny_patch16_"),
        ("vit_tiny_patch16_224.augregg_in1k", "'vit_tiny_patch16_224.augreg_in21k"),
    ):
        done = harness("models", f"timm/{given}")
        assert done.returncode == 1
        assert re.fullmatch(rf"error: timm \S+ has no model '{given}'; did you mean {near}.*\n", done.stderr)
        assert done.stdout == ""


def test_training_finds_data_and_store_where_the_claims_do(harness, tmp_path, monkeypatch):
    profile = ROOT / "docs" / "resnet18_cifar10.toml"
    monkeypatch.setenv("REPRO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("REPRO_STORE", str(tmp_path / "store"))
    done = harness("train", "--profile", str(profile), "--role", "resnet", "--device", "cpu")
    assert done.returncode == 1
    assert f"below {tmp_path / 'data' / 'cifar10'}; expected" in done.stderr
    assert start("train", "--profile", "smoke", "--role", "vit", "--device", "cpu").returncode == 0
    assert list((tmp_path / "store" / "runs").iterdir())


def test_training_takes_a_share_of_the_images_that_are_there(harness, tmp_path):
    cifar100(tmp_path / "data")  # 200 of 50,000
    (tmp_path / "part.toml").write_text(PROFILE)
    options = ("--data-root", str(tmp_path / "data"), "--store", str(tmp_path / "store"), "--device", "cpu")
    done = harness("train", "--profile", str(tmp_path / "part.toml"), "--role", "vit_little", *options)
    assert "50 training images do not fill one batch of 96" in done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """What a plain `pip install .` puts into place."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("target")
    for name in ("claims", "harness", "models"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--target", target]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, source], check=True, timeout=PATIENCE_SECONDS)
    return target


def test_what_is_installed_reports_with_its_own_catalogue_unless_there_is_one_here(installed, tmp_path):
    claims = load_catalogue(ROOT / "claims" / "catalogue.toml")
    found = [made.effect(effect.name, 1.0, 0.1) for effect in claims["F10"].rule(None).effects]
    write_evidence(tmp_path / "results", "none", made.evidence(claims, "F10", found))

    def reported():
        command = [sys.executable, "-P", "-m", "harness", "report", "results"]
        env = {**os.environ, "PYTHONPATH": str(installed)}
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=PATIENCE_SECONDS)

    done = reported()
    assert done.returncode == 0, done.stderr
    assert re.search(r"^F10 +none +agrees", done.stdout, re.MULTILINE)
    assert "no evidence for L1" in done.stdout
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / "catalogue.toml").write_text("")
    assert "no evidence for" not in reported().stdout


@pytest.mark.parametrize("files", [["__init__.py"], ["weights.pt"]], ids=["package", "folder"])
def test_a_models_in_the_current_folder_does_not_hide_this_projects(tmp_path, files):
    (tmp_path / "models").mkdir()
    for name in files:
        (tmp_path / "models" / name).write_text("1 / 0")
    command = [sys.executable, "-m", "harness", "summary", str(ROOT / "results" / "reference" / "quick")]
    env = {**os.environ, "PYTHONPATH": f"{os.curdir}{os.pathsep}{ROOT}"}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("#")


def test_a_report_without_evidence_is_one_line(tmp_path):
    done = start("report", str(tmp_path))
    assert done.returncode == 1
    assert re.fullmatch(r"error: no evidence in .*make reproduce.*\n", done.stderr)


def make(*arguments):
    # -o: the environment that make would build is not looked at
    command = ["make", "-o", ".venv/installed", *arguments]
    env = {"PATH": os.environ["PATH"]}  # without the variables of a make that runs these tests
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=PATIENCE_SECONDS)


def test_make_hands_a_subject_and_claims_on():
    given = ("SUBJECT=my/nets.py:net", "CHECKPOINT=w.pt", "CLAIM=L1,F2", "PROFILE=my/mini.toml")
    command = make("-n", "reproduce", *given).stdout
    for part in ("--profile my/mini.toml", "--claim 'L1,F2'", "--subject 'my/nets.py:net'", "--checkpoint 'w.pt'"):
        assert part in command
    assert "harness report 'results/mini-net'" in make("-n", "report", *given).stdout
    assert "harness report 'results/quick'" in make("-n", "report").stdout
    assert "harness report 'elsewhere'" in make("-n", "report", "RESULTS=elsewhere", *given).stdout


@pytest.mark.parametrize(("status", "succeeds"), [(0, True), (1, True), (2, False), (3, False), (4, False), (5, False)])
def test_make_reproduce_takes_a_contradicted_claim_for_a_result_and_no_verdict_for_a_failure(status, succeeds):
    assert (make("reproduce", f"PYTEST=sh -c 'exit {status}'").returncode == 0) == succeeds
