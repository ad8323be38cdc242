"""Between the command line and the engine: what a session asks of the data that are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.judging.deviations import deviations
from harness.plan.case import expand
from harness.plan.catalogue import load_catalogue
from harness.plan.profile import load_profile
from harness.session import Options, Session
from harness.tests.test_data import cifar100

ROOT = Path(__file__).parents[2]
PROFILE = """
about = "a share of the training images"
datasets = ["cifar100"]
seeds = [0]
[roles]
vit = "vit_mini"
[variants]
vit_little = { of = "vit", share = 0.25 }
[recipe]
epochs = 3
warmup_epochs = 1
[throughput]
vit_mini = 100
"""


@pytest.fixture
def session(tmp_path):
    """A session and its one case, with data where `data` says."""

    def make(data=None, **options):
        (tmp_path / "part.toml").write_text(PROFILE)
        profile = load_profile(str(tmp_path / "part.toml"))
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
        (case,), missing = expand("F2", None, ["vit", "vit_little"], ["fourier"], profile)
        assert not missing
        return opened, case

    return make


def test_shares_times_and_deviations_reckon_with_the_images_that_are_there(session, tmp_path):
    cifar100(tmp_path / "data")  # 200 + 100 images
    opened, case = session(tmp_path / "data")
    opened.open_data([case])
    whole, little = opened.plan([case]).items
    assert (whole.run.train_images, little.run.train_images) == (None, 50)
    assert (whole.seconds, little.seconds) == (200 * 4 / 100, 50 * 4 / 100)
    judged = opened.unjudged(case).case
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
