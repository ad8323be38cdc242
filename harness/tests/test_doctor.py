"""What `python -m harness doctor` says where something lacks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest
import torch

from harness.doctor import command, machine, profiles
from harness.doctor import software as packages
from harness.doctor.data import corrupted, data_sets
from harness.doctor.finding import Finding
from harness.plan.profile import load_profile
from harness.tests.sessions import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
Usage = namedtuple("Usage", "total used free")
Card = namedtuple("Card", "name total_memory")


@pytest.fixture(scope="module")
def all_needs(tmp_path_factory):
    return {profile.name: it for profile, it in profiles.needs(tmp_path_factory.mktemp("store"))}


def examined(monkeypatch, capsys, needs, folder, data_root=None):
    """Status and lines of a whole examination."""
    monkeypatch.setattr(profiles, "needs", lambda *_: [(load_profile(name), it) for name, it in needs.items()])
    fine = command.examine(folder / "store", folder / "results", data_root)
    return fine, capsys.readouterr().out.splitlines()


def test_a_machine_that_can_run_quick_is_told_so_and_nothing_is_written(monkeypatch, capsys, all_needs, tmp_path):
    fine, lines = examined(monkeypatch, capsys, all_needs, tmp_path)
    assert fine
    assert lines[-1] == "quick can be run: make reproduce"
    assert not [line for line in lines if "✗" in line]
    assert any(line.startswith("  ✓ quick: 12 trainings") for line in lines)
    assert any(line.startswith("  ! cifar100:") and "lacks CIFAR-100 (see above) and a GPU" in line for line in lines)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_blocks(monkeypatch, capsys, all_needs, tmp_path):
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(10**12, 10**12, 3_000))
    fine, lines = examined(monkeypatch, capsys, all_needs, tmp_path)
    assert not fine
    (store,) = (line for line in lines if line.startswith("  ✗ store:"))
    assert "3 kB free" in store
    assert "--store" in store
    assert any("lacks CIFAR-10 (see above) and 5" in line and "of room in the store" in line for line in lines)


def test_a_folder_that_cannot_be_written_blocks(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "access", lambda *_: False)
    found = machine.room("results", tmp_path / "results", 0)
    assert found.blocks
    assert "not to be written" in found.found


def test_a_store_below_a_file_blocks(tmp_path):
    (tmp_path / "file").write_text("")
    assert machine.room("store", tmp_path / "file" / "store", 0).blocks


def pyproject(folder, *dependencies):
    lines = ", ".join(f'"{each}"' for each in dependencies)
    (folder / "pyproject.toml").write_text(f"[project]\ndependencies = [{lines}]\n")
    return folder


def test_a_package_outside_its_range_and_one_that_is_missing_block(tmp_path):
    found = list(packages.software(pyproject(tmp_path, "numpy>=99", "no-such-package>=1", "pandas>=2")))
    blocked = {each.what: each for each in found if each.blocks}
    assert set(blocked) == {"numpy", "no-such-package"}
    assert "outside >=99" in blocked["numpy"].found
    assert blocked["numpy"].advice == packages.INSTALL
    assert "packages: 1 of 3 within" in " ".join(map(str, found))


def test_a_version_other_than_the_tested_one_is_named_and_does_not_block(tmp_path):
    (pyproject(tmp_path, "numpy>=1", "torch>=2") / "constraints.txt").write_text(
        f"# tested\nnumpy==1.0.1\ntorch=={torch.__version__.partition('+')[0]}\n"
    )
    (line,) = (each for each in packages.software(tmp_path) if each.what.startswith("versions"))
    assert "(tested: 1.0.1)" in line.found
    assert "torch" not in line.found  # a local version such as +cpu is the tested one
    assert not line.blocks


def test_without_a_checkout_the_ranges_are_those_of_the_installation(tmp_path, monkeypatch):
    monkeypatch.setattr(packages, "requires", lambda _: ["pandas>=2", 'ray>=2; extra == "ray"'])
    assert [str(each) for each in packages.requirements(tmp_path)] == ["pandas>=2"]


def test_a_torchvision_of_another_torch_blocks(monkeypatch):
    monkeypatch.setattr(packages, "installed", {"torch": "2.11.0+cpu", "torchvision": "0.28.0"}.get)
    monkeypatch.setattr(packages, "requires", lambda _: ["numpy", "torch==2.13.0"])
    (found,) = packages.torchvision_of_torch()
    assert found.blocks
    assert "needs torch ==2.13.0, not 2.11.0+cpu" in found.found


def test_a_package_that_cannot_be_loaded_blocks(monkeypatch):
    def broken(name):
        raise OSError("libtorch.so: cannot open shared object file\nmore")

    monkeypatch.setattr(packages.importlib, "import_module", broken)
    (found,) = packages.imports("torch")
    assert found.blocks
    assert "(libtorch.so: cannot open shared object file)" in found.found


def test_an_old_python_is_all_that_is_said(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 2))
    (found,) = packages.software()
    assert (found.what, found.found, found.blocks) == ("Python", "3.10.2", True)


def test_every_data_set_that_lacks_says_where_it_is_expected(tmp_path):
    found = {each.what: each for each in data_sets(tmp_path)}
    assert found["digits"].advice is None
    assert str(tmp_path / "cifar10" / "plain_text" / "train-00000-of-00001.parquet") in found["cifar10"].advice
    assert str(tmp_path / "imagenet") in found["imagenet"].advice
    assert not any(each.blocks for each in found.values())
    (first, *_) = data_sets(tmp_path / "none")
    assert "there is no folder" in first.found


def test_data_that_are_there_are_seen_by_their_names(tmp_path):
    for split in ("train", "test"):
        (tmp_path / "cifar10").mkdir(exist_ok=True)
        (tmp_path / "cifar10" / f"{split}-00000-of-00001.parquet").write_bytes(b"")
    (tmp_path / "imagenet" / "val").mkdir(parents=True)
    found = {each.what: each for each in data_sets(tmp_path)}
    assert str(found["cifar10"]) == f"✓ cifar10: {tmp_path / 'cifar10'}"
    assert found["imagenet"].found.endswith("imagenet, without training images")


def test_without_digits_quick_cannot_be_run(monkeypatch):
    monkeypatch.setattr("harness.data.source.find_spec", lambda _: None)
    (digits,) = (each for each in data_sets(None) if each.what == "digits")
    assert digits.blocks


def test_published_corruptions_are_counted_and_labels_missed(tmp_path):
    (tmp_path / "cifar10-c").mkdir()
    (tmp_path / "cifar10-c" / "fog.npy").write_bytes(b"")
    found = corrupted("cifar10-c", tmp_path, streamed=False)
    assert "labels.npy" in found.advice
    (tmp_path / "cifar10-c" / "labels.npy").write_bytes(b"")
    assert corrupted("cifar10-c", tmp_path, streamed=False).advice is None


def cuda(monkeypatch, available, capability=(9, 0)):
    monkeypatch.setattr(machine, "listed_gpus", lambda: [("H100", "81559 MiB", "550.54")])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: Card("H100", 80 * 2**30))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)


def test_a_gpu_is_named_with_its_memory_driver_and_precisions(monkeypatch):
    cuda(monkeypatch, available=True)
    assert list(map(str, machine.gpus())) == ["✓ GPU: H100, 80 GiB, driver 550.54, fp32 and bf16"]
    cuda(monkeypatch, available=True, capability=(7, 5))
    (old,) = machine.gpus()
    assert "fp32" in old.advice


def test_a_gpu_that_torch_does_not_find_is_told(monkeypatch):
    cuda(monkeypatch, available=False)
    (found,) = machine.gpus()
    assert "does not find it" in found.advice
    assert not found.blocks


@pytest.mark.parametrize("missing", ["torch", "pydantic"])
def test_it_answers_where_a_package_is_missing(tmp_path, missing):
    # As a package that is not there: its import fails, and so does the question for its version.
    code = (
        "import importlib.metadata as m, sys\n"
        f"sys.modules[{missing!r}] = None\n"
        "real = m.version\n"
        "def version(name):\n"
        f"    if name == {missing!r}:\n"
        "        raise m.PackageNotFoundError(name)\n"
        "    return real(name)\n"
        "m.version = version\n"
        "sys.argv[1:] = ['doctor']\n"
        "from harness.__main__ import main\n"
        "main()\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    assert done.returncode == 1, done.stderr
    assert f"X {missing}: not installed" in done.stdout
    assert "Traceback" not in done.stderr
    assert ("ok quick: 12 trainings" in done.stdout) == (missing == "torch")


def test_what_is_needed_grows_with_the_profile(all_needs):
    quick, cifar = all_needs["quick"], all_needs["cifar100"]
    assert quick.seconds is not None  # the profile says how fast its networks are
    assert cifar.seconds is None
    assert cifar.images > 1000 * quick.images
    assert profiles.decoded_size("cifar100") == 60_000 * 3 * 32 * 32
    assert profiles.decoded_size("imagenet") == 0  # stays encoded where it is


def test_a_weight_is_four_bytes_a_parameter():
    assert profiles.weight("resnet50", "cifar100") == 4 * 23_705_252  # the count of the paper's network


def test_marks():
    assert [Finding("a", "b").mark, Finding("a", "b", "c").mark, Finding("a", "b", "c", blocks=True).mark] == [*"✓!✗"]
