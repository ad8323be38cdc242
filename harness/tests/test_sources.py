"""What a person's own network is made of, and that its runs are named by that and by no folder."""

from __future__ import annotations

import shutil
import sys

import pytest

from harness.errors import HarnessError
from harness.plan.recipe import Recipe
from harness.plan.run import ModelSpec, Run, source_of
from harness.plan.sources import own_files


@pytest.fixture
def code(tmp_path, monkeypatch):
    """Two files and a package; whoever runs any of them fails."""
    files = {
        "net.py": "import torch, json\nfrom blocks import Block\ndef make(num_classes, image_size): import lazy\n",
        "blocks.py": "from mine import parts\n",
        "lazy.py": "import blocks, lazy\n",
        "stranger.py": "",
        "mine/__init__.py": "",
        "mine/parts.py": "from . import deep\nfrom .deep.bottom import *\nfrom models import create_model\n",
        "mine/deep/__init__.py": "",
        "mine/deep/bottom.py": "import numpy\n",
        "mine/unused.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{text}raise RuntimeError('run')\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(files, folder):
    return [file.relative_to(folder).as_posix() for file in files]


PARTS = ["mine/__init__.py", "mine/deep/__init__.py", "mine/deep/bottom.py", "mine/parts.py"]


def test_a_file_is_made_of_what_it_imports_of_the_persons_own(code):
    before = list(sys.path)
    assert names(own_files(f"{code}/net.py:make"), code) == ["net.py", "blocks.py", "lazy.py", *PARTS]
    assert own_files("net.py:make") == own_files(f"{code}/net.py:make")
    assert sys.path == before


def test_a_module_is_made_of_its_packages_too(code, monkeypatch):
    monkeypatch.syspath_prepend(code)
    assert names(own_files("mine.deep.bottom:make"), code) == [PARTS[2], PARTS[0], PARTS[1]]


@pytest.mark.parametrize(
    ("changed", "other"), [("mine/deep/bottom.py", True), ("lazy.py", True), ("stranger.py", False)]
)
def test_a_change_in_what_is_imported_is_another_run(code, changed, other):
    spec = ModelSpec(name=f"subject/{code}/net.py:make")
    before = source_of(spec)
    with (code / changed).open("a") as file:
        file.write("x = 1\n")
    assert (source_of(spec) != before) == other


def test_the_same_code_and_weights_in_another_folder_are_the_same_run(code, tmp_path_factory):
    other = tmp_path_factory.mktemp("elsewhere") / "copy"
    (code / "w.pt").write_bytes(b"weights")
    shutil.copytree(code, other)

    def run(folder):
        spec = ModelSpec(name=f"subject/{folder}/net.py:make", overrides={"checkpoint": f"{folder}/w.pt"})
        return Run(
            model=spec,
            dataset="digits",
            fingerprint="f",
            train_images=None,
            recipe=Recipe(),
            seed=0,
            source=source_of(spec),
        )

    assert run(code).run_id == run(other).run_id
    assert str(run(code).model) == "subject/net.py:make(checkpoint=w.pt)"
    (other / "blocks.py").write_text("")
    assert run(code).run_id != run(other).run_id


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("no/net.py:make", r"--subject 'no/net.py:make': there is no file .*no/net\.py"),
        ("models.net:make", r"'models' is a package of this project.*give the file: --subject models/net\.py:make"),
        ("nothing.net:make", "no module 'nothing.net' on the path"),
        ("net.py", "'net.py' is not of the form package.module:factory or path/to/file.py:factory"),
        ("net.py:a b", "is not of the form"),
    ],
)
def test_a_target_that_is_not_there_is_one_line(code, target, message):
    with pytest.raises(HarnessError, match=message) as caught:
        own_files(target)
    assert "\n" not in str(caught.value)


def test_a_models_of_its_own_is_a_part_of_a_file(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "__init__.py").write_text("")
    (tmp_path / "models" / "mine.py").write_text("WIDTH = 3\n")
    (tmp_path / "net.py").write_text("from models import mine\nimport harness.data\ndef make(): pass\n")
    found = own_files(f"{tmp_path / 'net.py'}:make")
    assert [path.relative_to(tmp_path).as_posix() for path in found] == [
        "net.py", "models/__init__.py", "models/mine.py"]  # fmt: skip
