"""The examples of CONTRIBUTING.md, executed as they are printed."""

from __future__ import annotations

import importlib.util
import io
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import harness.probes
import harness.report.figures
import harness.tests.inside  # before the first test
from harness.data import catalogue as data_catalogue
from harness.data import load_dataset
from harness.probes.kinds import PROBES
from harness.report.figures.style import Paper
from harness.store import Store
from harness.tests import report_fixtures as made
from harness.tests import test_contracts as contracts
from harness.tests.sessions import PROFILE
from models import anatomy, create_model, zoo

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"^`(?P<file>[\w/.]+)`:\n\n```\w+\n(?P<code>.*?)^```$", re.M | re.S)
# What a change may touch at most; its test, its line in the docs and the profiles aside.
ALLOWED = {
    "A claim": {"claims/catalogue.toml", "claims/test_lowpass.py"},
    "A study": {"claims/catalogue.toml", "claims/test_lowpass.py", "harness/profiles/quick.toml"},
    "A probe": {"harness/probes/_sparsity.py"},
    "A figure": {"harness/report/figures/sparsity.py"},
    "A model family": {"models/plainnet.py", "models/zoo.py"},
    "A data set": {"harness/data/catalogue.py"},
}


def examples(section):
    """File -> code, of one section."""
    text = TEXT.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return {match["file"]: match["code"] for match in EXAMPLE.finditer(text)}


def load(name, code, folder):
    """A module from its text, under the name that it would have in the project."""
    path = folder / f"{name.rpartition('.')[2]}.py"
    path.write_text(code, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("section", ALLOWED)
def test_an_example_is_short_and_touches_no_more_files_than_it_may(section):
    found = examples(section)
    assert set(found) == ALLOWED[section]
    assert all(len(code.splitlines()) <= 30 for code in found.values())


def test_the_claim_and_the_study_are_judged(pytester, monkeypatch):
    place, claim, study = pytester.path, examples("A claim"), examples("A study")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (place / "claims").mkdir()
    for file in claim:
        (place / file).write_text(f"{claim[file]}\n\n{study[file]}", encoding="utf-8")
    (place / "tiny.toml").write_text(PROFILE + study["harness/profiles/quick.toml"], encoding="utf-8")
    (place / "conftest.py").write_text('pytest_plugins = ["harness.plugin"]\n')
    (place / "pytest.ini").write_text("[pytest]\n")
    done = pytester.runpytest_inprocess("claims", "--profile", "tiny.toml", "--device", "cpu", "-rA")
    assert done.ret in (0, 1)
    evidence = sorted(path.parent.name for path in place.glob("results/tiny*/evidence/*/*.json"))
    assert evidence == ["F11", "F12"]
    (page,) = place.glob("results/tiny*/report.html")
    assert "No figure" not in page.read_text()
    assert '"verdict": "not run"' not in "".join(p.read_text() for p in place.glob("results/*/evidence/*/*.json"))


@pytest.fixture
def sparsity(tmp_path, monkeypatch):
    """The example probe, as if it stood in the project."""
    (code,) = examples("A probe").values()
    module = load("harness.probes._sparsity", code, tmp_path)
    monkeypatch.setitem(PROBES, "sparsity", module.KIND)
    monkeypatch.setitem(sys.modules, "harness.probes._sparsity", module)
    return module.sparsity


def test_the_probe_keeps_the_contract_of_all_probes(sparsity):
    torch.manual_seed(0)
    model = create_model("resnet_micro", num_classes=10, image_size=8, in_chans=1)
    for contract in (
        contracts.test_a_table_has_the_columns_that_are_declared_and_a_row_for_each_combination_of_keys,
        contracts.test_it_measures_in_evaluation_mode_and_leaves_the_network_as_it_was,
        contracts.test_how_images_are_cut_into_batches_changes_nothing,
        contracts.test_fewer_images_than_groups_make_fewer_groups,
        contracts.test_a_probe_without_images_is_refused_in_a_line,
    ):
        contract("sparsity", model)


def test_the_probe_counts_zeros(sparsity):
    """Behind a ReLU about half of the values are; of the stem's, hardly any."""
    torch.manual_seed(0)
    model = create_model("resnet_micro", num_classes=10, image_size=8, in_chans=1)
    images = torch.randn(20, 1, 8, 8)
    table = sparsity(model, images, groups=4)
    maps = {}
    with anatomy(model).reading(lambda unit, value: maps.update({unit.name: value})), torch.no_grad():
        model(images)
    for name, rows in table.groupby("name"):
        mean = (rows["sparsity"] * rows["images"]).sum() / 20
        assert mean == pytest.approx((maps[name] == 0).double().mean().item(), abs=1e-6)


def test_the_figure_draws_the_probes_table(sparsity, tmp_path, monkeypatch):
    (code,) = examples("A figure").values()
    monkeypatch.setitem(
        sys.modules, "harness.report.figures.sparsity", load("harness.report.figures.sparsity", code, tmp_path)
    )
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    model = create_model("resnet_micro", num_classes=10, image_size=8, in_chans=1)
    table = sparsity(model, torch.randn(20, 1, 8, 8), groups=4).assign(role="resnet", model="resnet_micro", seed=0)
    path = made.write_table(tmp_path, "sparsity.parquet", table)
    (drawing,) = harness.report.figures.draw(tmp_path / path, Paper([], "CIFAR-100", "Fig 9"), "key")
    (panel,) = drawing.panels
    assert panel.svg.startswith("<svg")
    assert "Sparsity against depth, resnet" in panel.label


def test_the_model_family_is_built_has_an_anatomy_and_is_probed(tmp_path, monkeypatch):
    found = examples("A model family")
    monkeypatch.setitem(sys.modules, "models.plainnet", load("models.plainnet", found["models/plainnet.py"], tmp_path))
    monkeypatch.setitem(zoo.ZOO, "plainnet6", None)  # so that it is gone afterwards
    exec(found["models/zoo.py"], {"ZOO": zoo.ZOO, "Entry": zoo.Entry})
    model = create_model("plainnet6", num_classes=7, image_size=12, in_chans=2)
    assert model(torch.zeros(3, 2, 12, 12)).shape == (3, 7)
    assert [unit.kind for unit in anatomy(model).units] == ["stem", *["conv"] * 5, "head"]
    assert harness.probes.variance(model, torch.randn(8, 2, 12, 12))["variance"].gt(0).all()


def test_the_data_set_is_read_from_files_of_its_layout(tmp_path, monkeypatch):
    monkeypatch.setitem(data_catalogue.DATASETS, "svhn", None)  # so that it is gone afterwards
    (code,) = examples("A data set").values()
    exec(code, {"DATASETS": data_catalogue.DATASETS, "DatasetInfo": data_catalogue.DatasetInfo})
    rng = np.random.default_rng(0)
    folder = tmp_path / "svhn" / "cropped_digits"
    folder.mkdir(parents=True)
    pixels = {}
    for split, count in (("train", 20), ("test", 10)):
        pixels[split] = rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        rows = []
        for image in pixels[split]:
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, "png")
            rows.append({"bytes": buffer.getvalue(), "path": None})
        table = pd.DataFrame({"image": rows, "label": np.arange(count) % 10})
        table.to_parquet(folder / f"{split}-00000-of-00001.parquet")
    dataset = load_dataset("svhn", Store(tmp_path / "store"), data_root=tmp_path, say=lambda line: None)
    assert (len(dataset.train), len(dataset.test)) == (20, 10)
    np.testing.assert_array_equal(dataset.test.images, pixels["test"].transpose(0, 3, 1, 2))
