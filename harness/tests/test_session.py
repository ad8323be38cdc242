"""Between the command line and the engine: what a session asks of the data that are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.judging.deviations import deviations
from harness.judging.looks import Look
from harness.plan.case import expand
from harness.plan.catalogue import load_catalogue
from harness.plan.job import Job
from harness.plan.plan import Plan
from harness.plan.profile import load_profile
from harness.session import Options, Session
from harness.tests.test_data import cifar100

ROOT = Path(__file__).parents[2]
PROFILE = """
about = "a share of the training images"
datasets = ["cifar100"]
looks = [1]
[roles]
vit = "vit_mini"
[variants]
vit_little = { of = "vit", share = 0.25 }
[recipe]
epochs = 3
warmup_epochs = 1
[throughput]
"""

ONE = Look(1, (1,))


def no_test(claim):
    """Of a case that is never judged."""


@pytest.fixture
def session(tmp_path, monkeypatch):
    """A session and its one case, with data where `data` says."""

    def make(data=None, variant="", speed="vit_mini = 100", profile="part.toml", **options):
        (tmp_path / "part.toml").write_text(PROFILE.replace("[recipe]", f"{variant}\n[recipe]") + speed)
        monkeypatch.chdir(tmp_path)
        profile = load_profile(profile)
        given = {
            "root": ROOT,
            "results": tmp_path / "results",
            "store": tmp_path / "store",
            "data_root": data or tmp_path,
            "device": "cpu",
            "engine": "local",
            "budget": None,
            "jobs": 1,
        }
        opened = Session(profile, load_catalogue(ROOT / "claims" / "catalogue.toml"), Options(**{**given, **options}))
        opened.say = lambda line: None
        (case,), missing = expand("F2", None, ["vit", *profile.variants], ["fourier"], profile)
        assert not missing
        return opened, case

    return make


def test_shares_times_and_deviations_reckon_with_the_images_that_are_there(session, tmp_path):
    cifar100(tmp_path / "data")  # 200 + 100 images
    opened, case = session(tmp_path / "data")
    opened.open_data([case])
    whole, little, *untrained = opened.plan([(case, ONE)]).items
    assert [(item.run.train_images, item.training) for item in untrained] == [(None, 0), (50, 0)]
    assert (whole.run.train_images, little.run.train_images) == (None, 50)
    assert (whole.training, little.training) == (200 * 4 / 100, 50 * 4 / 100)
    judged = opened.dossier(case, None).case
    assert judged.run("vit_little", 0, opened.fingerprints["cifar100"]).run_id == little.run.run_id
    title = "CIFAR-100 (200 + 100 of 50,000 + 10,000 images)"
    claim = opened.catalogue["F2"]
    assert opened.titles["cifar100"] == title
    assert f"{title} instead of {'the original images' if claim.dataset == 'cifar100' else 'ImageNet-1K'}" in (
        deviations(claim, judged, title)
    )


def test_a_complete_data_set_changes_no_run(session):
    _, case = session()
    assert case.given(50_000) is case
    assert case.run("vit_little", 0, "f").train_images == 12_500


def test_the_plan_without_data_counts_what_the_published_data_would_cost(session, tmp_path):
    opened, case = session(tmp_path / "nothing")
    costs, empty, *rows, sums, where = opened.describe_plan([(case, no_test)]).splitlines()
    assert [row.split()[:4] for row in rows] == [
        ["run", "role:", "model", "data"],
        ["?", "vit:", "vit_mini", "cifar100"],
        ["?", "vit_little:", "vit_mini", "cifar100"],
        ["?", "untrained", "vit:", "vit_mini"],
        ["?", "untrained", "vit_little:", "vit_mini"],
    ]
    # 4 epochs at 100 images a second, of 50,000 images and of a quarter of them; and 4 times 10,000 and twice 1,000
    # test images, each of which takes a quarter of that
    assert sums == "4 runs, 2 to train; 6 measurements to make; about 43.4 min with 1 worker, 4% of it measuring"
    assert (costs, empty) == ("lowpass:      43.4 min of one worker; alone F2 43.4 min", "")
    assert where.startswith(
        "cifar100: counted with its 50,000 published training images and not looked up in the store"
    )
    assert not (tmp_path / "store").exists()


def test_the_plan_says_what_a_budget_reaches(session, tmp_path):
    opened, case = session(tmp_path / "nothing", budget=3600.0)
    assert opened.describe_plan([(case, no_test)]).splitlines()[-2] == "--budget 60.0 min would reach 1 of 1 cases: F2"
    opened, case = session(tmp_path / "nothing", budget=600.0)
    assert opened.describe_plan([(case, no_test)]).splitlines()[-2].endswith("would reach 0 of 1 cases: none")


def test_jobs_are_told_apart_by_the_roles_that_they_play(session, tmp_path):
    cifar100(tmp_path / "data")
    opened, case = session(tmp_path / "data", variant='vit_same = { of = "vit" }')
    opened.open_data([case])
    assert [str(Job.from_plain(job.to_plain())) for job in opened.plan([(case, ONE)]).jobs] == [
        "vit +1: vit_mini on cifar100, seed 0",
        "vit_little: vit_mini on cifar100, seed 0",
        "untrained vit +1: vit_mini on cifar100, seed 0",
        "untrained vit_little: vit_mini on cifar100, seed 0",
    ]


def test_the_plan_says_that_it_cannot_tell_the_time(session, tmp_path):
    opened, case = session(tmp_path / "nothing", speed="")
    rest = "time unknown: 2 runs of models that were never trained here, 0.2 million images"  # 4 × (50,000 + 12,500)
    assert f"2 to train; 6 measurements to make; {rest}" in opened.describe_plan([(case, no_test)])


def test_weights_from_elsewhere_are_not_counted_as_trainings(session, tmp_path):
    opened, case = session(tmp_path / "nothing", profile="imagenet_pretrained")
    assert "2 runs, 0 to train; 3 measurements to make; about 0 s with 1 worker" in opened.describe_plan(
        [(case, no_test)]
    )


def test_a_store_that_can_only_be_read_will_do_where_it_has_everything(session, tmp_path, monkeypatch):
    def refused(folder):
        raise HarnessError(f"cannot write {folder}")

    cifar100(tmp_path / "data")
    opened, case = session(tmp_path / "data")
    opened.open_data([case])  # decoded by somebody who may write
    monkeypatch.setattr("harness.session.try_writing", refused)
    with pytest.raises(HarnessError, match="cannot write .*store"):
        opened.claim_folders([(case, no_test)])
    monkeypatch.setattr(Plan, "jobs", [])
    opened.claim_folders([(case, no_test)])
