"""`python -m harness examine`: its images, its networks, what it measures of them, and the one line of each mistake."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from harness.__main__ import main
from harness.data.standard import Standard
from harness.examine import command
from harness.examine.measure import FEW, MANY, asked, usual_number
from harness.examine.pictures import at_size, chosen, find_images, imagenet_numbers, labels_for
from harness.examine.ranking import QUANTITIES, ranked
from harness.examine.subjects import subjects
from harness.probes.kinds import PROBES
from models import create_model

UNITS = ["fourier", "variance", "similarity"]
ALL = [*UNITS, "prediction", "lesion", "noise", "corruption", "hessian", "landscape"]
UNKNOWN = """
from torch import nn
class Odd(nn.Sequential):
    pass
def make(num_classes, image_size, in_chans=3):
    return Odd(nn.Flatten(), nn.Linear(in_chans * image_size**2, num_classes))
"""


@pytest.fixture
def run(monkeypatch, data_store, tmp_path):
    """Run `examine` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def examine(*words):
        monkeypatch.setattr("sys.argv", ["harness", "examine", *words, "--store", str(data_store.root)])
        main()
        return tmp_path / "results"

    return examine


@pytest.fixture
def predictions_only(monkeypatch):
    """Of all that is measured: the rest takes seconds a network."""
    monkeypatch.setattr(
        command, "asked", lambda *where, **how: [look for look in asked(*where, **how) if look.probe == "prediction"]
    )


@pytest.fixture
def refused(run, capsys):
    """The last lines of an `examine` that ends with an error."""

    def examine(*words):
        with pytest.raises(SystemExit) as ended:
            run(*words)
        assert str(ended.value).startswith("error: ")
        return str(ended.value)

    return examine


def photos(folder, sizes, *, seed=0):
    """Files of noise, smooth enough to be images: name -> (width, height)."""
    drawn = np.random.default_rng(seed)
    for name, (width, height) in sizes.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        small = drawn.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).save(path)
    return folder


def tables(results):
    return {path.stem: pd.read_parquet(path) for path in (results / "tables").glob("*.parquet")}


def test_two_networks_on_a_data_set_are_measured_by_every_probe_and_ranked(run, capsys):
    results = (
        run("resnet_micro", "vit_micro", "--images", "digits", "--number", "20", "--results", "out").parent / "out"
    )
    found = tables(results)
    assert sorted(found) == sorted(ALL)
    for probe, table in found.items():
        assert list(dict.fromkeys(table["role"])) == ["resnet_micro", "vit_micro"]
        pd.testing.assert_frame_equal(
            pd.read_csv(results / "tables" / f"{probe}.csv")[list(PROBES[probe].values)].astype(float),
            table[list(PROBES[probe].values)].astype(float),
        )
    page = (results / "examine.html").read_text()
    assert all(f'id="{probe}"' in page for probe in ALL)
    assert "No figure." not in page
    assert "20 of 360 test images of digits" in page
    assert capsys.readouterr().out.rstrip().endswith("page: out/examine.html")
    assert {each.quantity.probe for each in ranked(found)} == set(ALL)


def test_predictions_are_those_of_a_plain_loop(run, predictions_only, digits, data_store):
    results = run("vit_micro", "--images", "digits", "--number", "30", "--alone")
    table = tables(results / "examine-vit_micro")["prediction"]
    torch.manual_seed(0)
    model = create_model("vit_micro", num_classes=10, image_size=8, in_chans=1).eval()
    source = chosen(find_images("digits", data_store, None), 30)
    mean, std = digits.info.mean[0], digits.info.std[0]
    for row, image, label in zip(table.itertuples(), source.split.images, source.split.labels, strict=True):
        with torch.no_grad():
            logits = model((torch.from_numpy(np.array(image))[None].float() / 255 - mean) / std)[0]
        assert row.label == label
        assert row.predicted == int(logits.argmax())
        assert row.nll == pytest.approx(float(torch.nn.functional.cross_entropy(logits, torch.tensor(label))), rel=1e-4)


def test_a_folder_without_classes_is_measured_against_the_networks_own_answers(run, tmp_path, capsys):
    photos(tmp_path / "mine", {f"{n}.png": (20 + n, 24) for n in range(8)})
    (tmp_path / "out" / "tables").mkdir(parents=True)
    for name in ("hessian.csv", "mine.csv"):  # of an earlier examination, and a file of one's own
        (tmp_path / "out" / "tables" / name).write_text("")
    results = (
        run("resnet_micro", "vit_micro", "--images", "mine", "--image-size", "16", "--results", "out").parent / "out"
    )
    found = tables(results)
    assert sorted(found) == sorted([*UNITS, "lesion", "noise"])
    assert [path.stem for path in (results / "tables").glob("*.csv") if path.stem not in found] == ["mine"]
    told = " ".join(capsys.readouterr().out.split())
    assert "8 images of mine" not in told
    assert "images of mine the images have no labels: lesions and noise cost agreement" in told
    whole = found["noise"]["accuracy"] - found["noise"]["delta_accuracy"]
    assert np.allclose(whole, 100)  # without noise every answer is the network's own


def test_subfolders_are_classes(tmp_path, data_store):
    folder = photos(tmp_path / "mine", {"b/1.png": (8, 8), "b/2.JPG": (8, 8), "a/x/3.png": (8, 8), "a/.4.png": (8, 8)})
    source = find_images(str(folder), data_store, None)
    assert source.class_names == ("a", "b")
    assert list(source.split.labels) == [0, 1, 1]
    assert labels_for(source, 2)[0] is source.split.labels
    assert labels_for(source, 10) == (None, "the images have 2 classes, the network 10 outputs")


def test_wnids_are_imagenets_classes_by_name(tmp_path, data_store):
    folder = photos(tmp_path / "few", {"n01443537/1.png": (8, 8), "n15075141/2.png": (8, 8)})
    labels, why = labels_for(find_images(str(folder), data_store, None), 1000)
    assert (list(labels), why) == ([1, 999], "")  # goldfish is the second, toilet tissue the last
    assert imagenet_numbers(["n01443537", "goldfish"]) is None


def test_images_of_all_sizes_are_made_alike_from_their_centre(tmp_path, data_store):
    """A red centre on white stays, whatever surrounds it at the longer sides."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, (width, height) in {"wide": (300, 100), "high": (100, 200), "small": (10, 10)}.items():
        image = np.full((height, width, 3), 255, np.uint8)
        image[height // 2 - 2 : height // 2 + 2, width // 2 - 2 : width // 2 + 2] = (255, 0, 0)
        Image.fromarray(image).save(folder / f"{name}.png")
    source = at_size(find_images(str(folder), data_store, None), 32, None)
    assert source.split.images.shape == (3, 3, 32, 32)
    assert source.split.images.dtype == np.uint8
    for image in source.split.images:
        assert image[0, 16, 16] > 200 > image[1, 15:17, 15:17].min()
        assert image[1, 0, 0] > 200


@pytest.mark.parametrize("shape", [(6, 8, 8), (6, 8, 8, 1), (6, 1, 8, 8), (6, 8, 8, 3), (6, 3, 8, 8)])
def test_a_numpy_file_of_any_usual_layout(tmp_path, data_store, shape):
    channels = 3 if 3 in shape else 1
    pixels = np.random.default_rng(0).integers(0, 256, (6, channels, 8, 8), dtype=np.uint8)
    last = shape[-1] == channels and len(shape) == 4
    np.save(
        tmp_path / "mine.npy", pixels[:, 0] if len(shape) == 3 else pixels.transpose(0, 2, 3, 1) if last else pixels
    )
    np.save(tmp_path / "mine-labels.npy", np.array([2, 0, 1, 2, 2, 0]))
    source = find_images(str(tmp_path / "mine.npy"), data_store, None)
    assert np.array_equal(source.split.images, pixels)
    assert (source.side, source.class_names) == (8, ("0", "1", "2"))


def test_a_checkpoint_and_a_factory_of_ones_own(run, predictions_only, tmp_path, data_store):
    """The weights of the file are what is measured, in order of the networks, and each stands by its name."""
    (tmp_path / "net.py").write_text(
        "from models import create_model\n"
        "def make(num_classes, image_size, in_chans=3):\n"
        "    return create_model('resnet_micro', num_classes=num_classes, image_size=image_size, in_chans=in_chans)\n"
    )
    torch.manual_seed(5)
    model = create_model("resnet_micro", num_classes=10, image_size=8, in_chans=1)
    torch.save(model.state_dict(), tmp_path / "five.pt")
    words = ("net.py:make", "net.py:make", "--images", "digits", "--number", "20", "--checkpoint", "five.pt")
    table = tables(run(*words, "--checkpoint", "-") / "examine-make")["prediction"]
    assert list(dict.fromkeys(table["role"])) == ["make five.pt", "make random weights"]
    source = chosen(find_images("digits", data_store, None), 20)
    images = Standard(source.mean, source.std, torch.device("cpu")).standardise(
        torch.from_numpy(np.array(source.split.images))
    )
    with torch.no_grad():
        said = model.eval()(images).argmax(1)
    assert table.loc[table["role"] == "make five.pt", "predicted"].tolist() == said.tolist()
    assert table.loc[table["role"] == "make random weights", "predicted"].tolist() != said.tolist()


def test_stopped_in_the_middle_it_leaves_a_page_of_what_there_is(run, monkeypatch, tmp_path):
    from harness.engine.stop import Stop

    answers = iter([False] * 2 + [True] * 9)  # both networks' only batch of the first probe
    monkeypatch.setattr(Stop, "now", lambda self: next(answers))
    with pytest.raises(SystemExit, match="^stopped; .* has what was measured until now$"):
        run("resnet_micro", "vit_micro", "--images", "digits", "--number", "20")
    results = tmp_path / "results" / "examine-resnet_micro"
    assert list(tables(results)) == ["fourier"]
    assert "Stopped before the end." in (results / "examine.html").read_text()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["resnet_micr", "--images", "digits"], "resnet_micr: unknown model 'resnet_micr': did you mean"),
        (["resnet_micro", "--images", "digit"], "--images digit: no such folder; .* did you mean 'digits'?"),
        (["resnet_micro", "--images", "empty"], "no images in empty; expected files that end in .jpeg"),
        (["resnet_micro", "--images", "one"], "--image-size 224, say"),
        (["resnet_micro", "--images", "broken", "--image-size", "8"], "cannot read the image broken/2.png"),
        (["resnet_micro", "--images", "float.npy"], r"float.npy holds float64 of shape \[2, 8, 8\]; expected uint8"),
        (["resnet_micro", "--images", "digits", "--number", "0"], "--number 0: expected a positive number"),
        (["resnet_micro", "--images", "digits", "--mean", ".5,.5"], "--mean has 2 numbers, the images have 1 channel"),
        (["resnet_micro", "--images", "digits", "--pretrained"], "only networks of timm/ come with weights"),
        (["vit_micro", "--images", "digits", *["--checkpoint", "-"] * 2], "1 networks and 2 times --checkpoint"),
        (["vit_micro", "--images", "digits", "--checkpoint", "no.pt"], "vit_micro: no checkpoint at .*no.pt"),
        (["no.py:make", "--images", "digits"], "make: no.py:make .*No such file"),
        (["timm/vit_tiny_patch16_224", "timm/vit_tiny_patch16_384", "--images", "one"], "expect images of different"),
    ],
)
def test_a_mistake_is_one_line(refused, tmp_path, words, says):
    (tmp_path / "empty").mkdir()
    photos(tmp_path / "one", {"1.png": (8, 8)})
    photos(tmp_path / "broken", {"1.png": (8, 8)})
    (tmp_path / "broken" / "2.png").write_bytes(b"no image")
    np.save(tmp_path / "float.npy", np.zeros((2, 8, 8)))
    line = refused(*words)
    assert re.search(says, line), line
    assert "\n" not in line


def test_an_unknown_block_is_named_with_the_lines_that_register_it(refused, tmp_path):
    (tmp_path / "net.py").write_text(UNKNOWN)
    line, _, code = refused("net.py:make", "--images", "digits").partition("\n")
    assert "make: no block class of Odd is registered" in line
    assert [each.split()[0] for each in code.strip().splitlines()[:3]] == ["from", "from", "register(ItsBlock,"]


def test_names_tell_networks_apart():
    found = subjects(["timm/resnet18", "resnet18", "/a/x.py:make"], pretrained=False, checkpoints=[])
    assert [each.name for each in found] == ["resnet18 random weights", "resnet18 random weights 2", "make"]


def test_smaller_images_are_more():
    assert [usual_number(side) for side in (8, 32, 64, 112, 224, 384)] == [MANY, MANY, MANY, 256, FEW, FEW]
    assert all(look.images <= 4 for look in asked(4, 8, labelled=True))


def test_a_ranking_of_numbers_known_beforehand():
    """Two networks of three units: one's MSA lowers the highest frequency by 1, the other's raises it by 2."""
    unit = {"unit": [0, 1, 2], "name": "u", "kind": ["stem", "msa", "mlp"], "stage": 0, "depth": 0.0}
    rest = {"height": 4, "width": 4, "frequency": 1.0, "label": 1.0, "images": 1}
    table = pd.concat(
        pd.DataFrame({"role": role, "sample": sample, **unit, **rest, "delta_log_amplitude": values})
        for role, values in (("up", [0.0, 2.0, 2.5]), ("down", [0.0, -1.0, -0.5]))
        for sample in (0, 1)
    )
    found = {each.quantity.words: each.places for each in ranked({"fourier": table})}
    assert [(each.name, each.value, each.error) for each in found["Δ log amplitude at 1.0π, mean step of MSAs"]] == [
        ("down", -1.0, 0.0), ("up", 2.0, 0.0)]  # fmt: skip
    assert [each.value for each in found["Δ log amplitude at 1.0π, mean step of MLPs"]] == [0.5, 0.5]
    assert [each.value for each in found["Δ log amplitude at 1.0π after the last unit"]] == [-0.5, 2.5]
    assert not any("Convs" in words for words in found)  # nobody has any


def test_every_quantity_is_of_a_probe_that_is_taken():
    assert {each.probe for each in QUANTITIES} == {look.probe for look in asked(64, 32, labelled=True)}


def test_what_is_lost_counts_upwards():
    """A unit or a noise that costs accuracy has a positive cost, and the network that it costs least stands first."""
    parts = {"name": "u", "kind": "conv", "stage": 1, "depth": 0.5, "height": 4, "width": 4, "part": "conv3x3"}
    both = (("frail", -20.0), ("sturdy", -5.0))
    lesion = pd.concat(
        pd.DataFrame({"role": role, "sample": [0, 1], "unit": 1, **parts, "images": 1, "accuracy": 50.0,
                      "delta_accuracy": change})
        for role, change in both
    )  # fmt: skip
    noise = pd.concat(
        pd.DataFrame({"role": role, "sample": [0, 0, 1, 1], "frequency": [0.1, 0.9] * 2, "amplitude": 1.0, "share": 0.1,
                      "images": 1, "accuracy": 50.0, "delta_accuracy": [0.0, change] * 2})
        for role, change in both
    )  # fmt: skip
    found = {each.quantity.words: each.places for each in ranked({"lesion": lesion, "noise": noise})}
    for words in ("lost with a unit, mean", "lost to noise of the higher frequencies, mean"):
        assert [(each.name, each.value) for each in found[words]] == [("sturdy", 5.0), ("frail", 20.0)]
    assert [each.value for each in found["lost to noise of the lower frequencies, mean"]] == [0.0, 0.0]
