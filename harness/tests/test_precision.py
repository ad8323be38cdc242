from __future__ import annotations

import pytest

from harness.commands.places import CATALOGUE
from harness.engine import precision
from harness.engine.precision import in_fast_precision
from harness.judging.deviations import deviations
from harness.plan.case import expand
from harness.plan.catalogue import load_catalogue
from harness.plan.profile import load_profile

OLD, NEW = "flags : fpu avx2 fma", "flags : fpu avx512f avx512_bf16 amx_tile"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    def make(flags=None, gpu=None):
        monkeypatch.setattr(precision, "CPUINFO", tmp_path / "cpuinfo")
        monkeypatch.setattr(precision, "DEVICES", tmp_path / "dev")
        (tmp_path / "dev").mkdir()
        if flags:
            (tmp_path / "cpuinfo").write_text(flags)
        if gpu:
            (tmp_path / "dev" / gpu).touch()

    return make


@pytest.mark.parametrize(
    ("flags", "gpu", "device", "kept"),
    [
        (OLD, None, "auto", False),
        (OLD, None, "cpu", False),
        (OLD, "nvidia0", "cpu", False),
        (OLD, "nvidiactl", "auto", False),
        (OLD, "nvidia0", "auto", True),
        (OLD, "kfd", "auto", True),
        (OLD, None, "cuda", True),
        (NEW, None, "auto", True),
        ("Features : fp asimd bf16 i8mm", None, "cpu", True),
        (None, None, "cpu", True),
    ],
)
def test_bf16_stays_where_it_is_fast(machine, flags, gpu, device, kept):
    machine(flags, gpu)
    profile = load_profile("cifar10")
    found, remark = in_fast_precision(profile, device)
    assert (found == profile) == kept == (remark is None)
    assert found.recipe.precision == ("bf16" if kept else "fp32")


def test_a_ray_cluster_may_have_what_its_driver_has_not(machine):
    machine(OLD)
    profile = load_profile("cifar10")
    assert in_fast_precision(profile, "auto", "ray") == (profile, None)
    assert in_fast_precision(profile, "cpu", "ray")[0].recipe.precision == "fp32"


def test_it_is_another_run_and_one_deviation_less(machine):
    machine(OLD)
    slow, fast = load_profile("cifar10"), in_fast_precision(load_profile("cifar10"), "cpu")[0]
    cases = [expand("F2", None, ["vit"], ["fourier"], profile)[0][0] for profile in (slow, fast)]
    first, second = (case.run("vit", 0, "f") for case in cases)
    assert first.run_id != second.run_id
    assert (first.recipe.precision, second.recipe.precision) == ("bf16", "fp32")
    claim = load_catalogue(CATALOGUE)["F2"]
    said = [any("training precision" in line for line in deviations(claim, case, "CIFAR-10")) for case in cases]
    assert said == [True, False]


def test_what_is_in_fp32_anyway_is_left_alone(machine):
    machine(OLD)
    profile = load_profile("quick")
    assert in_fast_precision(profile, "cpu") == (profile, None)
