from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from torch import nn
from torch.nn.functional import cross_entropy

from harness.corruptions import CORRUPTIONS, EXTRA, GROUPS, SEVERITIES, corrupt, open_official
from harness.data import DATASETS, balanced_numbers, balanced_subset
from harness.data.catalogue import DatasetInfo
from harness.data.standard import Standard
from harness.engine.execute import execute
from harness.errors import HarnessError
from harness.metrics import predictions
from harness.plan.job import Job
from harness.plan.wanted import ProbeRequest
from harness.probes import corruption
from harness.probes._corruption import KIND, CorruptionParameters
from harness.readings import by_corruption, by_group, robustness, scores
from harness.readings.corrupted import MEANS, WHOLE
from harness.store.tables import read_parquet

STANDARD = {"mean": (0.49, 0.48, 0.45), "std": (0.2, 0.21, 0.19)}
COUNT = 20


@pytest.fixture
def pixels():
    return torch.randint(0, 256, (COUNT, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.fixture
def labels():
    return torch.arange(COUNT) % 10


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(48, 10))


def standardised(pixels):
    return Standard(**STANDARD, device=torch.device("cpu")).standardise(pixels)


@pytest.mark.parametrize("info", DATASETS.values(), ids=list(DATASETS))
def test_pixels_come_back_exactly(info):
    standard = Standard(info.mean, info.std, torch.device("cpu"))
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(1, info.channels, 16, 16)
    assert torch.equal(standard.pixels(standard.standardise(pixels)), pixels)


def test_it_is_the_networks_answer_to_each_corrupted_image(network, pixels, labels):
    names = ("gaussian_noise", "zoom_blur", "frost")
    table = corruption(network, [(standardised(pixels), labels)], **STANDARD, corruptions=names, seed=3, groups=4)
    assert len(table) == len(names) * 5 * 4
    for row in table.itertuples():
        chosen = torch.arange(row.sample, COUNT, 4)
        images = corrupt(pixels[chosen], row.corruption, row.severity, seed=3, indices=chosen)
        logits = network(standardised(images))
        assert row.images == 5
        assert row.group == GROUPS[row.corruption]
        assert row.source == ("surrogate" if row.corruption == "frost" else "regenerated")
        assert row.correct == pytest.approx((logits.argmax(1) == labels[chosen]).double().mean().item())
        assert row.nll == pytest.approx(cross_entropy(logits, labels[chosen]).item(), rel=1e-5)


def test_in_brief_it_is_the_same_and_less_of_it(network, pixels, labels):
    data, names = [(standardised(pixels), labels)], ("snow", "fog")
    whole, brief = (
        corruption(network, data, **STANDARD, corruptions=names, groups=3, brief=brief) for brief in (False, True)
    )
    assert list(brief) == [*KIND.keys, "sample", "images", "correct"]
    pd.testing.assert_frame_equal(brief, whole[list(brief)])
    assert robustness(brief) == robustness(whole)


def test_a_share_of_the_images_has_the_rows_that_it_has_among_all(network, pixels, labels):
    numbers = torch.tensor([3, 8, 13])
    data, settings = [(standardised(pixels), labels)], {**STANDARD, "corruptions": ("snow",), "groups": COUNT}
    whole = corruption(network, data, **settings)
    share = corruption(network, [(data[0][0][numbers], labels[numbers])], **settings, numbers=numbers)
    theirs = whole[whole["sample"].isin(numbers.tolist())].reset_index(drop=True)
    of_all = ["sample", "iou", "iou90"]
    pd.testing.assert_frame_equal(share.drop(columns=of_all), theirs.drop(columns=of_all), rtol=1e-5)


@pytest.mark.parametrize("groups", [2, 7, 64])
def test_every_metric_comes_out_as_of_the_predictions_themselves(groups, pixels):
    """A network sure of some images and not of others; labels that it often knows."""
    torch.manual_seed(1)
    network = nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(48, 10))
    network[2].weight.data *= 100
    images = torch.cat([pixels, 255 - pixels, pixels.flip(0)])
    labels = torch.where(torch.arange(len(images)) % 3 == 0, 1, network(standardised(images)).argmax(1))
    names = ("fog", "contrast", "shot_noise")
    data = [(standardised(images[start : start + 17]), labels[start : start + 17]) for start in range(0, 60, 17)]
    found = by_corruption(corruption(network, data, **STANDARD, corruptions=names, groups=groups))
    assert found[["freq90", "acc90", "unc90"]].agg(lambda column: column.between(0.1, 0.9).sum()).min() > 0
    assert list(found.index) == [(name, GROUPS[name], severity) for name in names for severity in SEVERITIES]
    for (name, group, severity), row in found.iterrows():
        told = predictions(network(standardised(corrupt(images, name, severity, indices=torch.arange(60)))), labels)
        expected = scores(told)
        assert row.to_dict() == pytest.approx(expected, rel=1e-5, nan_ok=True), (name, group, severity)


def test_means_over_groups_of_corruptions_count_each_alike(network, pixels, labels):
    names = ("fog", "snow", "contrast")
    table = corruption(network, [(standardised(pixels), labels)], **STANDARD, corruptions=names, groups=3)
    kinds, groups = by_corruption(table), by_group(table)
    assert list(groups.index) == ["weather", "digital", "all"]
    assert groups.loc["weather", "nll"] == pytest.approx(kinds.loc[["fog", "snow"], "nll"].mean())
    assert groups.loc["all", "nll"] == pytest.approx(kinds["nll"].mean())
    assert groups.loc["all", "accuracy"] == pytest.approx(robustness(table))
    averaged = table.groupby(["corruption", "group", "severity"], sort=False)[[*MEANS, *WHOLE]]
    weighted = averaged.apply(
        lambda rows: rows.mul(table.loc[rows.index, "images"], axis=0).sum(min_count=1) / len(pixels)
    )
    pd.testing.assert_frame_equal(by_corruption(weighted.reset_index()), kinds)


def test_parameters_name_known_corruptions_without_torch():
    assert CorruptionParameters().corruptions == CORRUPTIONS
    assert CorruptionParameters(corruptions=EXTRA).corruptions == EXTRA
    with pytest.raises(ValidationError, match="no corruption 'fogg'; did you mean 'fog'"):
        CorruptionParameters(corruptions=("fogg",))
    code = "import harness.probes._corruption, harness.corruptions, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_it_is_measured_of_a_run_with_the_numbers_of_the_test_images(make_run, digits, store):
    run = make_run("vit_micro", train_images=32, epochs=1, warmup_epochs=0)
    parameters = CorruptionParameters(images=40, draw=2, corruptions=("impulse_noise",), groups=40)
    wanted = ProbeRequest(probe="corruption", parameters=parameters, test_images=None)
    job = Job(run, (wanted,), training=True)
    execute(
        job,
        store=store,
        device=torch.device("cpu"),
        data_root=None,
        progress=lambda _: None,
        should_stop=lambda: False,
    )
    table = read_parquet(store.read(wanted.key(run.run_id)).path / "table.parquet")

    from harness.training import checkpoint
    from harness.training.loop import build_model

    model = build_model(run, digits.info).eval()
    checkpoint.load_weights(store, run, model, None)
    numbers = torch.from_numpy(balanced_numbers(digits.test, 40, 2))
    split = balanced_subset(digits.test, 40, 2)
    images = corrupt(torch.from_numpy(np.array(split.images)), "impulse_noise", 5, indices=numbers)
    with torch.no_grad():
        logits = model(Standard(digits.info.mean, digits.info.std, torch.device("cpu")).standardise(images))
    expected = cross_entropy(logits, torch.from_numpy(split.labels), reduction="none")
    np.testing.assert_allclose(table[table["severity"] == 5]["nll"], expected, rtol=1e-4)


# --- published files --------------------------------------------------------------------------------------------------


@pytest.fixture
def published(tmp_path, pixels, labels):
    """Every severity s is the image with s added, where 255 is followed by 0."""
    folder = tmp_path / "cifar10-c"
    folder.mkdir()
    severities = [(pixels + severity).permute(0, 2, 3, 1).numpy() for severity in SEVERITIES]
    np.save(folder / "fog.npy", np.concatenate(severities))
    np.save(folder / "labels.npy", np.tile(labels.numpy(), 5))
    return tmp_path


CIFAR = DATASETS["cifar10"]


def test_published_arrays_go_severity_by_severity(published, network, pixels, labels):
    official = open_official(published, CIFAR, COUNT)
    numbers = torch.tensor([4, 0, 19])
    assert torch.equal(official.images("fog", 3, numbers), pixels[numbers] + 3)
    assert torch.equal(official.labels(numbers), labels[numbers])
    data = [(standardised(pixels), labels)]
    table = corruption(network, data, **STANDARD, corruptions=("fog",), official=official, groups=2)
    assert set(table["source"]) == {"official"}
    logits = network(standardised(pixels[1::2] + 5))
    assert table.iloc[-1]["nll"] == pytest.approx(cross_entropy(logits, labels[1::2]).item(), rel=1e-5)


def test_published_arrays_that_do_not_fit_are_refused_in_a_line(published, network, pixels, labels):
    official = open_official(published, CIFAR, COUNT)
    first = torch.tensor([0])
    faults = [
        (lambda: open_official(None, CIFAR, COUNT), "no --data-root.*cifar10-c/<corruption>.npy"),
        (lambda: open_official(published, DATASETS["cifar100"], COUNT), "no folder .*cifar100-c"),
        (lambda: official.images("snow", 1, first), "cannot read .*snow.npy"),
        (
            lambda: open_official(published, CIFAR, 21).images("fog", 1, first),
            r"holds uint8 \[100, .*\[105, 32, 32, 3\]",
        ),
        (
            lambda: corruption(
                network, [(standardised(pixels), labels.flip(0))], **STANDARD, corruptions=("fog",), official=official
            ),
            "20 of 20 test images have another label",
        ),
    ]
    for fault, message in faults:
        with pytest.raises(HarnessError, match=message) as caught:
            fault()
        assert "\n" not in str(caught.value)


def test_published_folders_go_class_by_class(tmp_path):
    info = DatasetInfo(**{**vars(DATASETS["imagenet"]), "image_size": 8, "classes": 2})
    for number, place in enumerate(("n01/b.JPEG", "n01/a.JPEG", "n02/c.JPEG")):
        path = tmp_path / "imagenet-c" / "fog" / "2" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        file = io.BytesIO()
        Image.new("RGB", (8, 8), (40 * number,) * 3).save(file, "PNG")
        path.write_bytes(file.getvalue())
        first = tmp_path / "imagenet-c" / "fog" / "1" / place
        first.parent.mkdir(parents=True, exist_ok=True)
        first.write_bytes(file.getvalue())
    official = open_official(tmp_path, info, 3)
    images = official.images("fog", 2, torch.tensor([0, 1, 2]))
    assert images[:, 0, 0, 0].tolist() == [40, 0, 80]  # a, b, c
    assert official.labels(torch.tensor([2, 0])).tolist() == [1, 0]
    with pytest.raises(HarnessError, match="no folder .*fog/3"):
        official.images("fog", 3, torch.tensor([0]))
    with pytest.raises(HarnessError, match="holds 3 images; expected the 4 of the test set"):
        open_official(tmp_path, info, 4).images("fog", 2, torch.tensor([0]))
    larger = DatasetInfo(**{**vars(info), "image_size": 9})
    with pytest.raises(HarnessError, match=r"a.JPEG is of 8×8, not 9×9"):
        open_official(tmp_path, larger, 3).images("fog", 2, torch.tensor([0]))
