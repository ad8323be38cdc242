"""Real pytest sessions over a small project of their own: verdicts, options and faults as a person meets them.

Most run within this process, whose libraries are loaded and whose workers are forked from one server; `test_faults`,
`test_stop` and `test_check` start processes.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
import torch

import harness.tests.inside  # noqa: F401  before the first test
from harness.errors import HarnessError
from harness.judging.measured import MEASUREMENT
from harness.store import Store
from harness.store.tables import TABLE, read_parquet, to_parquet
from harness.tests.sessions import ANY_ACCURACY, CATALOGUE, CLAIM, CONFTEST, PATIENCE_SECONDS, PROFILE
from harness.upkeep import take_measurements

pytest_plugins = ["pytester"]


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory):
    return tmp_path_factory.mktemp("shared") / "store"


@pytest.fixture
def project(pytester, monkeypatch):
    """A folder with catalogue, profile and conftest; returns a function that writes the claim's test."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    pytester.mkdir("claims")
    (pytester.path / "claims" / "catalogue.toml").write_text(CATALOGUE)
    (pytester.path / "tiny.toml").write_text(PROFILE)
    (pytester.path / "pytest.ini").write_text("[pytest]\n")
    (pytester.path / "conftest.py").write_text(CONFTEST)
    monkeypatch.setattr(*ANY_ACCURACY)  # to be as it was afterwards
    monkeypatch.syspath_prepend(os.getcwd())
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))

    def write(values="[1.0, 1.01]", role="vit", effect="effect", body=None):
        text = body or CLAIM.format(values=values, role=role, effect=effect)
        (pytester.path / "claims" / "test_claim.py").write_text(text)

    write()
    return write


@pytest.fixture
def session(pytester, project, shared_store):
    """Run pytest on the project; a result whose `.evidence` is the one case's file, or None."""

    def run(*options, store=shared_store):
        given = () if "--profile" in options else ("--profile", "tiny.toml")
        result = pytester.runpytest_inprocess("claims", *given, "--store", str(store), *options)
        folder = "tiny-factory" if "--subject" in options else "tiny"
        folder += "-untrained" if "--untrained" in options else ""
        path = pytester.path / "results" / folder / "evidence" / "F1" / "digits.json"
        result.evidence = json.loads(path.read_text()) if path.exists() else None
        return result

    return run


def test_the_negative_control_judges_networks_with_random_weights_beside_others_of_these(session, tmp_path):
    result = session("--untrained", store=tmp_path / "store")
    result.assert_outcomes(passed=1)
    assert "networks with random weights" in result.evidence["deviations"]
    assert result.evidence["premises"] == []
    assert result.evidence["case"]["seeds"] == [0, 1]
    metas = [json.loads(path.read_text()) for path in (tmp_path / "store").glob("runs/*/final/manifest.json")]
    assert sorted(meta["meta"]["run"]["seed"] for meta in metas) == [0, 1, 1000, 1001]
    assert all(meta["meta"]["run"]["recipe"]["epochs"] == 0 for meta in metas)


@pytest.mark.parametrize(
    ("values", "outcome", "verdict", "status"),
    [
        ("[1.0, 1.01]", {"passed": 1}, "reproduced", 0),
        ("[-1.0, -1.01]", {"failed": 1}, "contradicted", 1),
        ("[0.001, -0.001]", {"failed": 1}, "negligible", 1),
        ("[-1.0, 1.1]", {"skipped": 1}, "inconclusive", 0),
    ],
)
def test_a_verdict_is_an_outcome_and_leaves_evidence(session, project, values, outcome, verdict, status):
    project(values)
    result = session()
    result.assert_outcomes(**outcome)
    assert result.ret == status
    evidence = result.evidence
    assert evidence["verdict"] == verdict
    assert evidence["schema"] == 2
    assert evidence["look"] == {"seeds": 2, "of": [2], "level": pytest.approx(0.95)}
    assert evidence["case"] == {
        "dataset": "digits",
        "dataset_title": "digits (8×8)",
        "models": {"vit": "vit_micro(depth=1)"},
        "seeds": [0, 1],
        "studies": {},
        "floors": {},
    }
    (effect,) = evidence["effects"]
    assert effect["value"] == pytest.approx(sum(json.loads(values)) / 2)
    assert (effect["n"], effect["replicate"], effect["null"]) == (2, "seed", 0.0)
    assert sorted(effect["by_seed"]) == sorted(json.loads(values))
    assert effect["freedom"] == 1
    assert effect["level"] == pytest.approx(1 - 2 * 0.025 ** (4 / 3))  # one network's numbers may be skewed
    assert effect["untrained"]["n"] == 2
    assert evidence["paper"] == [{"name": "effect", "value": 2.0, "source": "made up"}]
    assert len(evidence["provenance"]["run_ids"]) == 2
    for table in [*evidence["tables"], *evidence["support"]]:
        assert (result_folder(result) / table).is_file()
    assert "F1" in (result_folder(result) / "report.html").read_text()


WITHOUT_NETWORKS = """
import pytest

@pytest.mark.claim("F1", roles=[], probes=[])
def test_claim(claim):
    claim.effect_over_draws("effect", [1.0, 1.5, 2.0])
"""


AFTER_THE_WARMUP = """
import pytest
from harness.plan.study import study
from harness.plan.wanted import wanted
from harness.readings import nep

WARMUP, CLEAN = wanted("hessian", after=0), wanted("hessian", after=0, augment=False)

@pytest.mark.claim("F1", roles=["vit", study("data", of="vit")], probes=[WARMUP, CLEAN])
def test_claim(claim):
    assert claim.roles == ("vit", "vit_data_32", "vit_data_48")
    def statistic(*spectra):
        assert [len(spectrum) for spectrum in spectra] == [10] * 6  # five eigenvalues, without and with l2
        return 100 + sum(map(nep, spectra))
    claim.effect("effect", claim.roles, statistic, probe=[WARMUP, CLEAN])
"""


def test_variants_measured_after_the_warmup_are_trained_no_farther(session, project, pytester, tmp_path):
    project(body=AFTER_THE_WARMUP)
    changed = PROFILE.replace("epochs = 1\nwarmup_epochs = 0", "epochs = 2\nwarmup_epochs = 1")
    changed += """
[variants]
vit_data_48 = { of = "vit", study = "data", at = 0.75, share = 0.75 }
vit_data_32 = { of = "vit", study = "data", at = 0.5, share = 0.5 }
[probes.hessian]
images = 32
"""
    (pytester.path / "tiny.toml").write_text(changed)
    result = session(store=tmp_path / "store")
    result.assert_outcomes(passed=1)
    evidence = result.evidence
    assert evidence["case"]["models"] == {
        "vit": "vit_micro(depth=1)",
        "vit_data_32": "vit_micro(depth=1), 50 % of the training images",
        "vit_data_48": "vit_micro(depth=1), 75 % of the training images",
    }
    assert [table.rpartition("/")[2] for table in evidence["tables"]] == [
        "hessian-warmup.parquet",
        "hessian-warmup-augment-False.parquet",
    ]
    assert evidence["provenance"]["device"] != "none"
    runs = list((tmp_path / "store" / "runs").iterdir())
    kept = [sorted(entry.name.partition("-")[0] for entry in run.iterdir() if entry.is_dir()) for run in runs]
    # Of the networks that keep their first weights, these are the finished ones.
    assert sorted(kept) == [["epoch", "step"]] * 6 + [["final"]] * 6
    again = session("--plan", store=tmp_path / "store")
    again.stdout.fnmatch_lines(["1 of 1 cases need nothing more"])


def test_a_claim_without_networks_needs_neither_data_nor_training(session, project, pytester, tmp_path):
    project(body=WITHOUT_NETWORKS)
    result = session("--data-root", str(tmp_path / "nothing"), store=tmp_path / "store")
    result.assert_outcomes(passed=1)
    path = pytester.path / "results" / "tiny" / "evidence" / "F1" / "none.json"
    evidence = json.loads(path.read_text())
    (effect,) = evidence["effects"]
    assert (effect["value"], effect["n"], effect["replicate"]) == (1.5, 3, "random draw")
    assert evidence["case"] == {
        "dataset": "none",
        "dataset_title": "no data",
        "models": {},
        "seeds": [],
        "studies": {},
        "floors": {},
    }
    assert (evidence["deviations"], evidence["tables"], evidence["provenance"]["run_ids"]) == ([], [], [])
    planned = session("--plan", store=tmp_path / "store")
    planned.assert_outcomes()
    planned.stdout.fnmatch_lines(["0 runs, 0 to train*"])


def result_folder(result):
    (line,) = [line for line in result.outlines if line.startswith("report: ")]
    from pathlib import Path

    return Path(line.removeprefix("report: ")).parent


@pytest.mark.parametrize("probe", ["prediction", "fourier"])  # the premise has predictions of its own, or the claim's
def test_a_network_that_has_learned_nothing_is_out_of_scope(session, project, pytester, monkeypatch, tmp_path, probe):
    body = CLAIM.replace("prediction", probe).format(values=[1.0, 1.01], role="vit", effect="effect")
    project(body=body)
    session = partial(session, store=tmp_path / "store")
    (pytester.path / "conftest.py").write_text('pytest_plugins = ["harness.plugin"]\n')
    monkeypatch.setattr("harness.judging.learned.DEVIATIONS", 3)
    result = session("-rs")
    result.assert_outcomes(skipped=1)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["SKIPPED * F1 digits: out of scope: test accuracy of the worst vit is *"])
    assert result.evidence["verdict"] == "out of scope"
    assert [premise["holds"] for premise in result.evidence["premises"]] == [False]
    session("--strict").assert_outcomes(failed=1)


def test_images_that_are_too_small_are_out_of_scope_before_anything_is_trained(session, pytester, tmp_path):
    catalogue = pytester.path / "claims" / "catalogue.toml"
    catalogue.write_text(catalogue.read_text().replace("[[F1.rules]]", "[[F1.rules]]\nleast_image = 32"))
    result = session("-rs", store=tmp_path / "fresh")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*out of scope: size of the images is 8 px, and has to be at least 32."])
    assert (result.evidence["verdict"], result.evidence["tables"]) == ("out of scope", [])
    assert not (tmp_path / "fresh" / "runs").exists()


def test_seeds_may_be_limited(session):
    result = session("--seeds", "1")
    assert result.evidence["look"]["of"] == [1, 2]
    assert (result.evidence["look"]["seeds"], result.evidence["case"]["seeds"]) == (1, [0])
    (effect,) = result.evidence["effects"]
    assert (effect["n"], effect["replicate"], effect["low"]) == (1, "seed", None)


@pytest.mark.parametrize("place", ["option", "environment"])
def test_strict_fails_what_is_inconclusive(session, project, monkeypatch, place):
    project("[-1.0, 1.1]")
    if place == "environment":
        monkeypatch.setenv("PYTEST_ADDOPTS", "--strict")
    result = session(*(["--strict"] if place == "option" else []))
    result.assert_outcomes(failed=1)
    assert result.ret == 1
    assert result.evidence["verdict"] == "inconclusive"


def test_pytests_own_ini_option_strict_is_not_about_verdicts(session, project):
    project("[-1.0, 1.1]")
    result = session("-o", "strict=true")
    result.assert_outcomes(skipped=1)
    assert result.ret == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"effect": "efect"}, "*the rule names no effect 'efect'; did you mean 'effect'?*"),
        ({"values": "[]"}, "*StopIteration*"),
        (
            {"body": CLAIM.replace("    claim.effect", "    # claim.effect").format(values=[], role="vit", effect="")},
            "*did not measure*",
        ),
    ],
)
def test_a_fault_of_a_test_is_an_error_and_no_verdict(session, project, arguments, message):
    project(**arguments)
    result = session()
    result.assert_outcomes(errors=1)
    assert result.ret == 3
    result.stdout.fnmatch_lines([message])
    assert result.evidence["verdict"] == "not run"
    assert result.evidence["fault"] is True


def test_a_role_that_nobody_plays_is_skipped_and_a_session_without_a_verdict_is_no_success(session, project):
    project(role="swin")
    result = session("-rs")
    result.assert_outcomes(skipped=1)
    reason = "F1: not run: profile tiny has no model for role swin"
    result.stdout.fnmatch_lines(
        ["ERROR: no case got a verdict*" + reason, f"SKIPPED * claims/test_claim.py:5: {reason}"]
    )
    assert result.ret == 3
    strict = session("--strict")
    strict.assert_outcomes(failed=1)
    assert strict.ret == 1


def test_a_role_that_no_claim_knows_is_one_line_before_anything_is_trained(session, pytester, tmp_path):
    (pytester.path / "tiny.toml").write_text(PROFILE.replace("vit = ", "vitt = "))
    result = session(store=tmp_path / "fresh")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: profile tiny: no claim knows the role 'vitt'; did you mean 'vit'?"])
    assert not (tmp_path / "fresh" / "runs").exists()


def test_a_study_that_no_claim_has_is_one_line_before_anything_is_trained(session, pytester, tmp_path):
    variant = '[variants]\nless = { of = "vit", study = "dada", at = 0.5, share = 0.5 }\n'
    (pytester.path / "tiny.toml").write_text(PROFILE + variant)
    result = session(store=tmp_path / "fresh")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    message = "ERROR: profile tiny, variants.less: no claim has the study 'dada'; did you mean 'data'?"
    result.stderr.fnmatch_lines([message])
    assert not (tmp_path / "fresh" / "runs").exists()


TWO_CLAIMS = """
import pytest

@pytest.mark.claim("F1", roles=[], probes=[])
def test_F1(claim):
    claim.effect_over_draws("effect", [1.0, 1.5, 2.0])

@pytest.mark.claim("F10", roles=[], probes=[])
def test_F10(claim):
    claim.effect_over_draws("effect", [-1.0, 1.5])

def test_of_something_else():
    pass
"""


@pytest.fixture
def two_claims(pytester, project):
    project(body=TWO_CLAIMS)
    (pytester.path / "claims" / "catalogue.toml").write_text(
        CATALOGUE
        + CATALOGUE.replace("F1", "F10")
        + CATALOGUE.replace("F1", "F2").partition("[[")[0]
        + 'not_run = "Out of scope."\n'
    )


@pytest.mark.usefixtures("two_claims")
def test_claims_are_chosen_by_their_exact_ids(session):
    result = session("--claim", "F1")
    result.assert_outcomes(passed=1, deselected=2)
    result.stdout.fnmatch_lines(["profile tiny, device auto, data sets of the *", "results in results/tiny, store *"])
    both = session("--claim", "F10,F1", "-rs")
    both.assert_outcomes(passed=1, skipped=1, deselected=1)
    both.stdout.fnmatch_lines(["SKIPPED * claims/test_claim.py:8: F10 none: inconclusive: *"])


@pytest.mark.usefixtures("two_claims")
def test_a_claim_that_cannot_be_chosen_is_one_line(session):
    for given, message in (
        ("F11", "ERROR: no claim 'F11'*did you mean 'F1*"),
        ("F2", "ERROR: --claim F2: *Out of scope."),
    ):
        result = session("--claim", given)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([message])


def test_other_tests_have_no_header_of_ours(session, project):
    project(body="def test_of_something_else(): pass")
    result = session()
    assert result.ret == 0
    assert not any("store" in line for line in result.outlines)


def test_a_report_that_cannot_be_written_is_one_line_and_an_error(session, project, pytester):
    project(body=WITHOUT_NETWORKS)
    (pytester.path / "results" / "tiny" / "report.html").mkdir(parents=True)
    result = session()
    assert result.ret == 3
    result.stdout.fnmatch_lines(["ERROR: cannot write */report.html*"])
    assert not any("INTERNALERROR" in line for line in result.outlines)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--profile", "quik"), "ERROR: no profile 'quik'; did you mean 'quick'?"),
        (("--budget", "soon"), "ERROR: --budget 'soon' is not a time; write e.g. 90s, 9m or 1h30m"),
        (("--subject", "x:y"), "ERROR: --subject 'x:y': no module 'x' on the path*"),
        (("--seeds", "0"), "ERROR: --seeds 0: at least one"),
        (("--engine", "lokal"), "*invalid choice: 'lokal'*"),
        (("--device", "cuda"), "ERROR: --device cuda: torch finds no GPU that works*"),
    ],
)
def test_a_wrong_option_is_one_line_before_anything_is_trained(session, tmp_path, options, message):
    if "cuda" in options and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    result = session(*options, store=tmp_path / "fresh")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    lines = [*result.outlines, *result.errlines]
    assert any(re.fullmatch(re.escape(message).replace(r"\*", ".*"), line) for line in lines), lines
    assert not (tmp_path / "fresh" / "runs").exists()


@pytest.mark.parametrize(
    ("name", "message"), [("F11", "no claim 'F11' in"), ("F1 half", "has no rule for part 'half'")]
)
def test_a_claim_that_a_profile_misspells_is_one_line(session, pytester, name, message):
    (pytester.path / "tiny.toml").write_text(PROFILE.replace("[roles]", f'claims = ["{name}"]\n[roles]', 1))
    result = session()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.errlines if line.startswith("ERROR: ")]
    assert message in line


def test_a_wrong_argument_of_a_model_is_one_line_before_anything_is_trained(session, pytester, tmp_path):
    (pytester.path / "tiny.toml").write_text(PROFILE.replace("depth", "dephts"))
    result = session(store=tmp_path / "fresh")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.errlines if line.startswith("ERROR: ")]
    assert "dephts" in line
    assert "depth" in line.replace("dephts", "")
    assert not (tmp_path / "fresh" / "runs").exists()


def test_an_unknown_claim_names_the_nearest(session, project):
    project(body=CLAIM.replace('"F1"', '"F11"').format(values=[], role="vit", effect="effect"))
    result = session()
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*no claim 'F11'*did you mean 'F1'*"])


def test_missing_data_are_an_error_of_their_cases_only(session, pytester, tmp_path):
    (pytester.path / "two.toml").write_text(
        PROFILE.replace('["digits"]', '["digits", "cifar10"]').replace("images", "# images")
    )
    result = session("--profile", "two.toml", "--data-root", str(tmp_path))
    result.assert_outcomes(passed=1, errors=1)
    assert result.ret == 3
    result.stdout.fnmatch_lines(["*no train-*.parquet*below*cifar10*"])


def test_the_plan_says_what_is_to_do_and_what_is_cached(session, tmp_path):
    store = tmp_path / "store"
    before = session("--plan", store=store)
    assert before.ret == 0
    before.stdout.fnmatch_lines(["*4 runs, 2 to train; 4 measurements to make*"])
    assert not (store / "runs").exists()
    session(store=store).assert_outcomes(passed=1)
    after = session("--plan", store=store)
    after.stdout.fnmatch_lines(["0 runs, 0 to train; 0 measurements to make*", "1 of 1 cases need nothing more"])
    assert after.evidence["verdict"] == "reproduced"


def test_nothing_is_computed_twice(session, shared_store):
    session().assert_outcomes(passed=1)
    times = {path: path.stat().st_mtime_ns for path in shared_store.rglob("manifest.json")}
    result = session()
    result.assert_outcomes(passed=1)
    assert {path: path.stat().st_mtime_ns for path in shared_store.rglob("manifest.json")} == times
    assert not [line for line in result.outlines if line.startswith("[")]


@pytest.fixture
def elsewhere(session, project, tmp_path):
    """A results folder of two seeds, whose premise's predictions and control are among its tables."""
    project(body=CLAIM.replace('"prediction"', '"fourier"').format(values=[1.0, 1.01], role="vit", effect="effect"))
    return result_folder(session(store=tmp_path / "there"))


def test_a_results_folder_is_gone_on_with_without_weights(session, pytester, elsewhere, tmp_path):
    here, there = Store(tmp_path / "here"), tmp_path / "there"
    before = json.loads((elsewhere / "evidence" / "F1" / "digits.json").read_text())
    (came,) = take_measurements(here, elsewhere)
    assert (came.part, came.count) == ("probes", 3 * 2)  # what is asked for, the premise, the control
    for path in here.root.rglob(TABLE):
        pd.testing.assert_frame_equal(read_parquet(path), read_parquet(there / path.relative_to(here.root)))
    assert take_measurements(here, elsewhere) == []

    again = session("--results", "again", store=here.root)
    again.assert_outcomes(passed=1)
    after = json.loads((pytester.path / "again" / "evidence" / "F1" / "digits.json").read_text())
    assert not (here.root / "runs").exists()
    for evidence in (before, after):
        assert evidence["provenance"].pop("started")
        assert evidence["provenance"].pop("seconds") > 0
    assert after == before
    assert len(after["provenance"]["trainings"]) == 2

    (pytester.path / "tiny.toml").write_text(PROFILE.replace("looks = [2]", "looks = [3]"))
    session("--results", "more", store=here.root).assert_outcomes(passed=1)
    more = json.loads((pytester.path / "more" / "evidence" / "F1" / "digits.json").read_text())["provenance"]
    assert list(more["trainings"]) == more["run_ids"]
    assert {run: more["trainings"][run] for run in before["provenance"]["run_ids"]} == before["provenance"]["trainings"]
    assert [(here.root / "runs" / run).exists() for run in more["run_ids"]] == [False, False, True]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop(columns=MEASUREMENT), "of an earlier version, or nothing was judged; judge again"),
        (lambda table: table.assign(**{MEASUREMENT: "../../etc"}), "'../../etc' is no key of a measurement"),
    ],
)
def test_a_results_folder_that_does_not_say_what_it_measured_is_refused(elsewhere, tmp_path, change, message):
    for path in elsewhere.rglob("*.parquet"):
        path.write_bytes(to_parquet(change(read_parquet(path))))
    with pytest.raises(HarnessError, match=message):
        take_measurements(Store(tmp_path / "here"), elsewhere)
    assert not (tmp_path / "here").exists()


def test_damaged_artifacts_are_named_set_aside_and_recomputed_to_the_same_bits(session, shared_store):
    """One file cut short, one with a bit turned; the weights are missed as soon as a table is."""
    run_ids = session().evidence["provenance"]["run_ids"]
    tables = [*shared_store.glob(f"probes/{run_ids[0]}/*/table.parquet")]
    tables += shared_store.glob(f"probes/{run_ids[1]}/*/table.parquet")
    paths = [shared_store / "runs" / run_id / "final" / "weights.safetensors" for run_id in run_ids]
    whole = {path: path.read_bytes() for path in (*paths, *tables)}
    cut, turned = paths
    cut.write_bytes(whole[cut][:100])
    turned.write_bytes(whole[turned][:-1] + bytes([whole[turned][-1] ^ 1]))
    for table in tables:
        table.write_bytes(whole[table][:-1])
    result = session()
    result.assert_outcomes(passed=1)
    for path in whole:
        result.stdout.fnmatch_lines([f"damaged: {path.parent} ({path.name}: *set aside as *computed again"])
    assert {path: path.read_bytes() for path in whole} == whole


def test_a_budget_that_is_too_short_stops_in_order_and_the_same_command_continues(session, pytester, tmp_path):
    (pytester.path / "tiny.toml").write_text(PROFILE.replace("epochs = 1", "epochs = 1000000"))
    began = time.monotonic()
    result = session("--budget", "4s", "-rs", store=tmp_path / "store")
    assert time.monotonic() - began < PATIENCE_SECONDS
    assert result.ret == 0
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*not run: stopped before *the same command continues*"])
    assert result.evidence["verdict"] == "not run"
    (pytester.path / "tiny.toml").write_text(PROFILE)
    session(store=tmp_path / "store").assert_outcomes(passed=1)


def test_a_stop_takes_no_verdict_away_that_was_there(session, pytester, tmp_path):
    """Whoever judges again with an empty store, and stops, has what an earlier session found; not so of other runs."""
    whole = session().evidence
    result = session("--budget", "0s", "-rs", store=tmp_path / "empty")
    result.assert_outcomes(skipped=1)
    day = whole["provenance"]["started"][:10]
    result.stdout.fnmatch_lines([f"*not run: stopped before *; the verdict of {day} stays: *"])
    assert result.evidence == whole
    path = pytester.path / "results" / "tiny" / "evidence" / "F1" / "digits.json"
    other = {**whole["provenance"], "run_ids": whole["provenance"]["run_ids"][:-1]}
    path.write_text(json.dumps({**whole, "provenance": other}))
    assert session("--budget", "0s", store=tmp_path / "empty").evidence["verdict"] == "not run"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_in_order(pytester, project, tmp_path, number):
    (pytester.path / "tiny.toml").write_text(PROFILE.replace("epochs = 1", "epochs = 2000"))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "claims",
        "--profile",
        "tiny.toml",
        "--store",
        str(tmp_path / "store"),
        "-rs",
    ]
    process = subprocess.Popen(command, cwd=pytester.path, stdout=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not list((tmp_path / "store").glob("runs/*/step-*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    # As a terminal or a scheduler does it: to the whole group.
    os.killpg(process.pid, number)
    output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, output
    assert "not run: stopped before" in output
    assert list((tmp_path / "store").glob("runs/*/step-*"))


OWN = """
from torch import nn

def factory(num_classes, image_size):
    return nn.Sequential(nn.Flatten(), nn.Linear(image_size**2, num_classes))
"""


def test_a_persons_own_model_plays_a_role(session, pytester):
    (pytester.path / "mine.py").write_text(OWN)
    result = session("--subject", "mine:factory")
    result.assert_outcomes(passed=1)
    assert result.evidence["case"]["models"] == {"vit": "subject/mine:factory"}


FACTORY = """
from torch import nn

from blocks import flat

def factory(num_classes, image_size):
    return nn.Sequential(flat(), nn.Linear(image_size**2, num_classes))
"""


@pytest.fixture
def own_folder(pytester, project):
    """A person's own folder, with a package `models` in it; returns how to call `pytest` alone from there."""
    own = pytester.path / "own"
    (own / "models").mkdir(parents=True)
    (own / "models" / "__init__.py").write_text("raise RuntimeError('not meant')\n")
    (own / "models" / "net.py").write_text(FACTORY)
    (own / "models" / "blocks.py").write_text("from torch.nn import Flatten as flat\n")
    (own / "blocks.py").write_text("from torch.nn import Flatten as flat\n")
    (own / "mine.py").write_text(FACTORY)

    def call(*options):
        script = str(Path(sys.executable).with_name("pytest"))
        command = [script, "../claims", "--profile", "../tiny.toml", "-p", "no:cacheprovider", *options]
        return subprocess.run(command, cwd=own, capture_output=True, text=True, timeout=PATIENCE_SECONDS)

    return call


def test_a_file_in_a_folder_with_models_of_its_own_plays_a_role(own_folder, pytester, tmp_path):
    done = own_folder("--subject", "models/net.py:factory", "--store", str(tmp_path / "store"))
    assert done.returncode == 0, done.stdout + done.stderr
    results = pytester.path / "results" / "tiny-factory"
    evidence = json.loads((results / "evidence" / "F1" / "digits.json").read_text())
    assert evidence["case"]["models"] == {"vit": "subject/net.py:factory"}
    assert json.loads((results / "set.json").read_text())["subject"] == "vit=net.py:factory"
    mixed = own_folder("--results", str(results), "--store", str(tmp_path / "store"))
    assert mixed.returncode == pytest.ExitCode.USAGE_ERROR
    assert "holds the results of profile tiny with vit=net.py:factory; give profile tiny a folder" in mixed.stderr


def test_a_module_of_the_current_folder_is_found_by_pytest_alone(own_folder):
    done = own_folder("--subject", "mine:factory", "--plan")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "subject/mine:factory" in done.stdout
    hidden = own_folder("--subject", "models.net:factory", "--plan")
    assert hidden.returncode == pytest.ExitCode.USAGE_ERROR
    assert "give the file: --subject models/net.py:factory" in hidden.stderr


@pytest.mark.parametrize("option", ["--results", "--store"])
def test_a_folder_that_cannot_be_written_is_one_line_before_anything_is_trained(session, pytester, option):
    (pytester.path / "file").write_text("")
    result = session(option, str(pytester.path / "file" / "folder"), store=pytester.path / "fresh")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.errlines if line.startswith("ERROR: ")]
    assert "file/folder" in line
    assert "choose another folder" in line
    assert not (pytester.path / "fresh" / "runs").exists()
    assert not any("INTERNALERROR" in line for line in result.outlines)


def test_a_factory_that_raises_is_one_line_before_anything_is_trained(session, pytester):
    (pytester.path / "mine.py").write_text("def factory(num_classes, image_size):\n    raise KeyError('depth')\n")
    result = session("--subject", "mine:factory", store=pytester.path / "fresh")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.errlines if line.startswith("ERROR: ")]
    assert "mine:factory(num_classes=10, image_size=8) fails: KeyError: 'depth' (mine.py, line 2)" in line
    assert not (pytester.path / "fresh" / "runs").exists()


def test_an_unknown_anatomy_is_one_line_before_anything_is_trained(session, project, pytester):
    project(body=CLAIM.replace('"prediction"', '"fourier"').format(values=[], role="vit", effect="effect"))
    (pytester.path / "mine.py").write_text(OWN)
    result = session("--subject", "mine:factory", store=pytester.path / "fresh")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.errlines if line.startswith("ERROR: ")]
    assert "mine:factory" in line
    assert "models.register(" in line
    assert not (pytester.path / "fresh" / "runs").exists()


def test_a_persons_own_weights_are_measured_and_not_trained(session, pytester, tmp_path):
    body = "    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))"
    (pytester.path / "mine.py").write_text(f"from torch import nn\ndef factory(num_classes, image_size):\n{body}\n")
    linear = torch.nn.Linear(64, 10)
    torch.save({"1.weight": linear.weight, "1.bias": linear.bias}, pytester.path / "mine.pt")
    store = tmp_path / "store"
    result = session("--subject", "mine:factory", "--checkpoint", "mine.pt", store=store)
    result.assert_outcomes(passed=1)
    evidence = result.evidence
    assert evidence["case"]["seeds"] == [0]
    assert evidence["effects"][0]["replicate"] == "image"
    assert "single seed" in evidence["deviations"]
    assert any("not trained here" in deviation for deviation in evidence["deviations"])
    (run_id,) = evidence["provenance"]["run_ids"]
    from safetensors.torch import load_file

    kept = load_file(store / "runs" / run_id / "final" / "weights.safetensors")
    torch.testing.assert_close(kept["1.weight"], linear.weight.detach(), rtol=0, atol=0)

    missing = session("--subject", "mine:factory", "--checkpoint", "no.pt", store=store)
    assert missing.ret == pytest.ExitCode.USAGE_ERROR
    alone = session("--checkpoint", "mine.pt", store=store)
    assert alone.ret == pytest.ExitCode.USAGE_ERROR
    alone.stderr.fnmatch_lines(["ERROR: --checkpoint needs --subject*"])


def test_collecting_loads_no_torch(pytester, project):
    project()
    (pytester.path / "claims" / "test_last.py").write_text(
        "import sys\nassert not {'torch', 'timm', 'pandas'} & set(sys.modules)\n"
    )
    result = pytester.runpytest_subprocess("claims", "--profile", "tiny.toml", "--collect-only", "-q")
    assert result.ret == 0, result.outlines


PARTS = {
    "up": ("[1.0, 1.01]", "", "reproduced", "agrees"),
    "down": ("[-1.0, -1.01]", "", "contradicted", "disagrees"),
    "open": ("[-1.0, 1.1]", "", "inconclusive", "inconclusive"),
    "fault": ("[]", "", "not run", "error"),
    "large": ("[1.0, 1.01]", "least_image = 32", "out of scope", "out of scope"),
}
RULE = """
[[F1.rules]]
part = "{part}"
text = "The effect lies above 0."
{more}
effects = [{{ name = "effect", unit = "pp", null = 0.0, decides = true, paper = 2.0, source = "made up" }}]
"""
TEST = """
@pytest.mark.claim("F1", roles=["vit"], probes=["prediction"], part="{part}")
def test_{part}(claim):
    values = itertools.cycle({values})
    claim.effect("effect", "vit", lambda table: next(values))
"""


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_pytests_xml_has_verdict_and_effects_of_each_case_whatever_became_of_it(session, project, pytester, jobs):
    catalogue = CATALOGUE[: CATALOGUE.index("[[F1.rules]]")]
    catalogue += "".join(RULE.format(part=part, more=more) for part, (_, more, *_) in PARTS.items())
    (pytester.path / "claims" / "catalogue.toml").write_text(catalogue)
    tests = (TEST.format(part=part, values=values) for part, (values, *_) in PARTS.items())
    project(body="import itertools\nimport pytest\n" + "".join(tests))
    result = session("--junitxml", "claims.xml", "--jobs", jobs)
    result.assert_outcomes(passed=1, failed=1, skipped=2, errors=1)
    found = {
        case.get("name"): {each.get("name"): each.get("value") for each in case.iter("property")}
        for case in ElementTree.parse(pytester.path / "claims.xml").iter("testcase")
    }
    for part, (values, _, verdict, said) in PARTS.items():
        properties = found[f"test_{part}[{part}-digits]"]
        evidence = json.loads((result_folder(result) / f"evidence/F1/{part}-digits.json").read_text())
        assert (properties["verdict"], properties["said"]) == (verdict, said)
        assert (properties["claim"], properties["case"]) == ("F1", f"{part}-digits")
        assert (properties["reason"], properties["seeds"]) == (evidence["reason"], "2")
        assert ("effect effect" in properties) == (part in ("up", "down", "open"))
        if "effect effect" in properties:
            value, low, high, unit, null = re.fullmatch(
                r"(\S+) \[(\S+), (\S+)\] (.+), null (\S+)", properties["effect effect"]
            ).groups()
            (effect,) = evidence["effects"]
            assert (float(value), float(low), float(high)) == (effect["value"], effect["low"], effect["high"])
            assert float(value) == pytest.approx(sum(json.loads(values)) / 2)
            assert (unit, float(null)) == ("pp", 0.0)
