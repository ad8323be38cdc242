"""ImageNet: found in its two layouts, read image by image, augmented by loader processes, trained on."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import torch
from PIL import Image

from harness.data import Split, balanced_subset, dataset_info, load_dataset
from harness.data.imagenet import open_imagenet
from harness.errors import HarnessError
from harness.plan.recipe import Recipe, recipe_from
from harness.plan.run import ModelSpec, Run
from harness.store import Interrupted, Store
from harness.store.identity import subseed
from harness.training.batch import drawn_batches, training_batches
from harness.training.load import load
from harness.training.loop import train
from harness.training.pretrained import check_standardisation
from harness.training.streamed import Streamed
from models._timm import timm

from timm.data import create_transform  # isort: skip

CPU = torch.device("cpu")
WNIDS = ["n01440764", "n01443537", "n03710637"]
SMALL = replace(dataset_info("imagenet"), classes=3, train_images=24, test_images=9)
MODES = ["RGB", "RGB", "L", "CMYK"]
RECIPE = Recipe(**recipe_from({"base": "imagenet", "epochs": 1, "warmup_epochs": 1, "batch_size": 8}))


def picture(seed, mode="RGB"):
    """A smooth photo of an odd size."""
    stream = np.random.default_rng(seed)
    width, height = stream.integers(40, 90, 2)
    coarse = stream.integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).convert(mode)


def encoded(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, **(options or {"format": "JPEG", "quality": 90}))
    return buffer.getvalue()


def pictures(split, count):
    """(file name, label, encoded image) of a split: grey and CMYK ones among them, and a PNG that says JPEG."""
    for number in range(count):
        image = picture(100 * (split == "train") + number, MODES[number % 4])
        content = encoded(image, format="PNG") if number == 1 else encoded(image)
        yield f"{split}_{number:04d}.JPEG", number % 3, content


def folder(root, train=24, val=9):
    for split, count in (("train", train), ("val", val)):
        for name, label, content in pictures(split, count):
            place = root / "imagenet" / split / WNIDS[label]
            place.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(content)
    return root


def hub_files(root, train=24, val=9, group=5):
    features = {"info": {"features": {"label": {"names": ["tench", "goldfish", "maillot"], "_type": "ClassLabel"}}}}
    for split, name, count in (("train", "train", train), ("val", "validation", val)):
        rows = list(pictures(split, count))
        for shard, part in enumerate((rows[: count // 2], rows[count // 2 :])):
            images = [{"bytes": content, "path": path} for path, _, content in part]
            table = pa.table({"image": images, "label": pa.array([label for _, label, _ in part], pa.int64())})
            table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
            path = root / "imagenet" / "data" / f"{name}-{shard:05d}-of-00002.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            parquet.write_table(table, path, row_group_size=group)
    return root


LAYOUTS = pytest.mark.parametrize("layout", [folder, hub_files])


@pytest.fixture
def data(tmp_path):
    return open_imagenet(SMALL, folder(tmp_path))


# --- finding it ------------------------------------------------------------------------------------------------------


@LAYOUTS
def test_both_layouts_hold_the_same_images_and_labels(layout, tmp_path):
    dataset = open_imagenet(SMALL, layout(tmp_path))
    for split, name, count in ((dataset.train, "train", 24), (dataset.test, "val", 9)):
        expected = sorted((content, label) for _, label, content in pictures(name, count))
        assert sorted((split.images.read(i), int(split.labels[i])) for i in range(len(split))) == expected
    assert dataset.class_names == (tuple(WNIDS) if layout is folder else ("tench", "goldfish", "maillot"))
    assert dataset.title == "ImageNet-1K"


@LAYOUTS
def test_images_are_decoded_to_rgb_as_pillow_does(layout, tmp_path):
    split = open_imagenet(SMALL, layout(tmp_path)).train
    for index in range(len(split)):
        image = split.images.decode(index)
        expected = Image.open(io.BytesIO(split.images.read(index)))
        assert image.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(image), np.asarray(expected.convert("RGB")))
    modes = {Image.open(io.BytesIO(split.images.read(i))).mode for i in range(len(split))}
    assert modes == {"RGB", "L", "CMYK"}


@LAYOUTS
def test_the_fingerprint_says_what_it_is_over_and_moves_with_it(layout, tmp_path):
    one = open_imagenet(SMALL, layout(tmp_path / "one")).fingerprint
    assert open_imagenet(SMALL, layout(tmp_path / "same")).fingerprint == one
    assert open_imagenet(SMALL, layout(tmp_path / "fewer", val=8)).fingerprint != one
    kind, _, sha = one.partition(":")
    assert kind == {folder: "paths-and-sizes", hub_files: "names-sizes-and-footers"}[layout]
    assert len(sha) == 64

    (tmp_path / "renamed").mkdir()
    copied = Path(shutil.copytree(tmp_path / "one" / "imagenet", tmp_path / "renamed" / "imagenet"))
    first = sorted(path for path in copied.rglob("*") if path.is_file())[0]
    if layout is folder:
        first.rename(first.with_name("train_9999.JPEG"))
    else:  # other rows of the same number and size: the statistics in the footer differ
        table = parquet.read_table(first)
        parquet.write_table(table.set_column(1, "label", pa.array([2] * len(table))), first, row_group_size=5)
    assert open_imagenet(SMALL, tmp_path / "renamed").fingerprint != one


def test_an_incomplete_copy_says_so_and_training_images_may_be_absent(tmp_path):
    dataset = open_imagenet(SMALL, folder(tmp_path, train=21))
    assert dataset.title == "ImageNet-1K (21 of 24 training images)"
    shutil.rmtree(tmp_path / "imagenet" / "train")
    dataset = open_imagenet(SMALL, tmp_path)
    assert (len(dataset.train), len(dataset.test), dataset.title) == (0, 9, "ImageNet-1K")
    with pytest.raises(HarnessError, match="there are none"):
        balanced_subset(dataset.train, 5)


def test_a_thousand_classes_through_the_front_door(tmp_path, store):
    content = encoded(picture(0))
    for split in ("train", "val"):
        for number in range(1000):
            place = tmp_path / "imagenet" / split / f"n{number:08d}"
            place.mkdir(parents=True)
            (place / "x.JPEG").write_bytes(content)
    dataset = load_dataset("imagenet", store, data_root=tmp_path)
    assert dataset.test.labels.tolist() == list(range(1000))
    assert dataset.title.startswith("ImageNet-1K (1,000 of 1,281,167 training images, 1,000 of 50,000 validation")
    shutil.rmtree(tmp_path / "imagenet" / "val" / "n00000007")
    with pytest.raises(HarnessError, match="val holds 999 class folders; ImageNet-1K has 1,000"):
        load_dataset("imagenet", store, data_root=tmp_path)


def test_what_cannot_be_found_is_one_line(tmp_path, store):
    cases = [
        (None, "--data-root <folder>.*train,val.*ILSVRC/imagenet-1k"),
        (tmp_path, r"no ImageNet-1K validation images.*train,val.*data/validation-00000"),
    ]
    for root, message in cases:
        with pytest.raises(HarnessError, match=message) as caught:
            load_dataset("imagenet", store, data_root=root)
        assert "\n" not in str(caught.value)
    folder(tmp_path)
    (tmp_path / "imagenet" / "train" / WNIDS[0]).rename(tmp_path / "imagenet" / "train" / "n09999999")
    with pytest.raises(HarnessError, match="train and val have class folders of different names"):
        open_imagenet(SMALL, tmp_path)


@pytest.mark.parametrize(
    ("column", "labels", "message"),
    [("img", [0], "no column 'image'"), ("image", [3], r"labels 3\.\.3; ImageNet-1K has 0\.\.2")],
)
def test_parquet_of_another_layout_is_refused(column, labels, message, tmp_path):
    path = hub_files(tmp_path) / "imagenet" / "data" / "train-00000-of-00002.parquet"
    parquet.write_table(pa.table({column: [{"bytes": b"", "path": ""}], "label": labels}), path)
    with pytest.raises(HarnessError, match=message) as caught:
        open_imagenet(SMALL, tmp_path)
    assert "\n" not in str(caught.value)


@LAYOUTS
def test_subsets_are_balanced_and_stay_encoded(layout, tmp_path):
    split = open_imagenet(SMALL, layout(tmp_path)).train
    subset = balanced_subset(split, 12)
    assert np.bincount(subset.labels).tolist() == [4, 4, 4]
    whole = {split.images.read(i): int(split.labels[i]) for i in range(len(split))}
    for index in range(12):
        assert whole[subset.images.read(index)] == subset.labels[index]


# --- reading it ------------------------------------------------------------------------------------------------------


def test_evaluation_resizes_to_256_bicubic_and_cuts_out_224(data):
    images, labels = next(load(data.test, SMALL, CPU).batches(9))
    assert images.shape == (9, 3, 224, 224)
    assert labels.tolist() == data.test.labels.tolist()
    for index, ours in enumerate(images):
        theirs = data.test.images.decode(index)
        scale = 256 / min(theirs.size)
        width, height = (256 if side == min(theirs.size) else int(side * scale) for side in theirs.size)
        theirs = theirs.resize((width, height), Image.Resampling.BICUBIC)
        left, top = round((width - 224) / 2), round((height - 224) / 2)
        pixels = np.asarray(theirs.crop((left, top, left + 224, top + 224)), dtype=np.float64) / 255
        expected = (pixels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
        np.testing.assert_allclose(ours.permute(1, 2, 0).numpy(), expected, atol=1e-5)


def test_training_images_are_timms_with_streams_seeded_for_the_image(data):
    seed, chosen = 17, torch.tensor([5, 0, 11])
    (images,) = Streamed(data.train, SMALL, CPU).augmented([chosen], RECIPE, torch.Generator(), seed)
    theirs = create_transform(
        224,
        is_training=True,
        color_jitter=0.0,
        auto_augment="rand-m9-n2-mstd0.5",
        interpolation="random",
        use_prefetcher=True,
    )
    for index, ours in zip(chosen.tolist(), images, strict=True):
        stream = subseed(seed, index, 0)
        random.seed(stream)
        np.random.seed(stream % 2**32)
        torch.manual_seed(stream)
        assert torch.equal(ours, theirs(data.train.images.decode(index)))


class Gradient:
    """One image whose red grows to the right and whose green grows downwards, again and again."""

    side = 256

    def decode(self, index):
        ramp = np.arange(self.side, dtype=np.uint8)
        pixels = np.stack(np.broadcast_arrays(ramp[None], ramp[:, None], np.uint8(0)), axis=-1)
        return Image.fromarray(pixels)


def test_crops_have_the_papers_areas_aspects_and_flips(data):
    """The crop is read off the colours: PIL and timm have no part in the expectation."""
    split = Streamed(data.train, SMALL, CPU)
    split.images = Gradient()
    weak = RECIPE.model_copy(update={"rand_augment": "none"})
    (images,) = split.augmented([torch.arange(400)], weak, torch.Generator(), 3)
    red, green = images[:, 0].double(), images[:, 1].double()
    # Corners of a smooth ramp: the outermost pixels' centres lie half an output pixel inside the crop.
    width = (red[:, 112, 220] - red[:, 112, 3]) * 224 / 217
    height = (green[:, 220, 112] - green[:, 3, 112]) * 224 / 217
    flipped = width < 0
    width = width.abs()
    assert 0.4 < flipped.double().mean() < 0.6  # 4 standard deviations
    area, aspect = width * height / 256**2, width / height
    assert 0.08 * 0.9 < area.min() < 0.15
    assert 0.8 < area.max() < 1.05
    assert 0.7 < aspect.min() < 0.8
    assert 1.25 < aspect.max() < 1.42
    assert abs(aspect.log().mean()) < 0.05


@LAYOUTS
def test_batches_do_not_depend_on_the_number_of_loader_processes(layout, tmp_path):
    dataset = open_imagenet(SMALL, layout(tmp_path))
    found = []
    for workers in (0, 1, 2):
        split = Streamed(dataset.train, SMALL, CPU, workers=workers)
        generator = torch.Generator().manual_seed(0)
        before = torch.get_rng_state(), random.getstate()
        order = torch.arange(23, -1, -1)
        found.append(list(training_batches(split, order, 8, RECIPE, generator, seed=1)))
        assert torch.equal(torch.get_rng_state(), before[0])
        assert random.getstate() == before[1]
        evaluated = torch.cat([images for images, _ in split.batches(7)])
        assert torch.equal(evaluated, next(Streamed(dataset.train, SMALL, CPU, workers=0).batches(24))[0])
    for batches in found[1:]:
        for ours, theirs in zip(batches, found[0], strict=True):
            assert torch.equal(ours[0], theirs[0])
            assert torch.equal(ours[1], theirs[1])


def test_an_image_depends_on_seed_and_index_and_not_on_its_batch(data):
    split = Streamed(data.train, SMALL, CPU)

    def images(seed, *batches):
        return torch.cat(list(split.augmented([torch.tensor(b) for b in batches], RECIPE, torch.Generator(), seed)))

    one = images(1, [3, 4], [5])
    assert torch.equal(images(1, [5, 3, 4])[[1, 2, 0]], one)
    assert not torch.equal(images(2, [3, 4], [5]), one)


def test_measured_batches_go_over_the_images_again_with_other_augmentation(data):
    """48 images of 24, in batches across the passes: each image twice, and not twice the same way."""
    split = load(data.train, SMALL, CPU)
    recipe = RECIPE.model_copy(update={"mixup": 0.0, "cutmix": 0.0, "label_smoothing": 0.0, "erasing": 0.0})
    batches = list(drawn_batches(split, recipe, images=48, batch_size=16, seed=5))
    again = list(drawn_batches(split, recipe, images=48, batch_size=16, seed=5))
    assert all(torch.equal(one[0], other[0]) for one, other in zip(batches, again, strict=True))
    assert torch.cat([targets for _, targets in batches]).sum(0).tolist() == [16, 16, 16]
    assert len(torch.cat([images for images, _ in batches]).flatten(1).unique(dim=0)) == 48
    with pytest.raises(HarnessError, match="measured on training images"):
        next(
            drawn_batches(
                load(Split(data.train.images[[]], data.train.labels[[]]), SMALL, CPU),
                recipe,
                images=4,
                batch_size=2,
                seed=0,
            )
        )


def test_without_augmentation_images_are_those_of_the_test(data):
    (images,) = Streamed(data.train, SMALL, CPU).augmented(
        [torch.arange(24)], RECIPE.without_augmentation, torch.Generator(), 0
    )
    expected, _ = next(load(data.train, SMALL, CPU).batches(24))
    assert torch.equal(load(data.train, SMALL, CPU).standardise(images), expected)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("damage", [b"no image at all", None], ids=["garbage", "cut"])
def test_a_broken_image_is_one_line_that_names_it(damage, workers, tmp_path):
    folder(tmp_path)
    broken = tmp_path / "imagenet" / "train" / WNIDS[1] / "train_0004.JPEG"
    broken.write_bytes(broken.read_bytes()[:200] if damage is None else damage)
    dataset = open_imagenet(SMALL, tmp_path)
    split = Streamed(dataset.train, SMALL, CPU, workers=workers)
    with pytest.raises(HarnessError, match=f"cannot read the image {broken}: .*get it again") as caught:
        list(split.batches(4))
    assert "\n" not in str(caught.value)


def test_a_loader_process_that_dies_is_one_line(data, monkeypatch):
    main = os.getpid()
    monkeypatch.setattr(
        "harness.data.encoded.ImageFiles.read", lambda *_: os.getpid() != main and os.kill(os.getpid(), signal.SIGKILL)
    )
    with pytest.raises(HarnessError, match="a process that reads ImageNet-1K died: .*--shm-size") as caught:
        list(Streamed(data.train, SMALL, CPU, workers=2).batches(4))
    assert "\n" not in str(caught.value)


def test_a_broken_row_is_named_by_its_place(tmp_path):
    path = hub_files(tmp_path) / "imagenet" / "data" / "validation-00000-of-00002.parquet"
    rows = [{"bytes": encoded(picture(0)), "path": "x"}] * 3 + [{"bytes": None, "path": "y"}]
    parquet.write_table(pa.table({"image": rows, "label": [0, 1, 2, 0]}), path, row_group_size=2)
    split = load(open_imagenet(SMALL, tmp_path).test, SMALL, CPU)
    with pytest.raises(HarnessError, match=r"validation-00000-of-00002\.parquet, row group 1, row 1"):
        list(split.batches(4))


# --- training on it --------------------------------------------------------------------------------------------------


@LAYOUTS
@pytest.mark.parametrize("workers", [0, 1])
def test_stopped_and_continued_equals_uninterrupted(layout, workers, tmp_path, monkeypatch):
    monkeypatch.setattr("harness.training.streamed._workers", lambda device: workers)
    info = replace(SMALL, image_size=32)
    dataset = replace(open_imagenet(info, layout(tmp_path / "data")), info=info)
    model = ModelSpec(name="vit_micro", overrides={"patch_size": 8})
    run = Run(
        model=model, dataset="imagenet", fingerprint=dataset.fingerprint, train_images=18, recipe=RECIPE, seed=0
    )  # 2 epochs of 2 steps

    def weights(store, should_stop=lambda: False):
        train(run, dataset, store=store, device=CPU, progress=lambda _: None, should_stop=should_stop)
        return (store.root / run.checkpoint_key / "weights.safetensors").read_bytes()

    whole, store, steps = weights(Store(tmp_path / "whole")), Store(tmp_path / "pieces"), []
    for stop in (1, 3):
        with pytest.raises(Interrupted):
            weights(store, lambda stop=stop: steps.append(1) or len(steps) == stop)
    assert weights(store) == whole
    assert len(steps) == 3


def test_a_pretrained_network_needs_no_training_images(tmp_path):
    folder(tmp_path)
    shutil.rmtree(tmp_path / "imagenet" / "train")
    info = replace(SMALL, image_size=32)
    dataset = replace(open_imagenet(info, tmp_path), info=info)
    recipe = Recipe(epochs=0, warmup_epochs=0)
    spec = ModelSpec(name="vit_micro", overrides={"patch_size": 8})
    run = Run(model=spec, dataset="imagenet", fingerprint="f", train_images=None, recipe=recipe, seed=0)
    store = Store(tmp_path / "store")
    train(run, dataset, store=store, device=CPU, progress=lambda _: None, should_stop=lambda: False)
    assert store.read(run.checkpoint_key) is not None
    long = run.model_copy(update={"recipe": RECIPE})
    with pytest.raises(HarnessError, match="0 training images do not fill one batch of 8"):
        train(long, dataset, store=store, device=CPU, progress=lambda _: None, should_stop=lambda: False)


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("deit_tiny_patch16_224.fb_in1k", True),
        ("resnet50.a1_in1k", True),
        ("vit_tiny_patch16_224.augreg_in21k_ft_in1k", False),
    ],
)
def test_weights_for_otherwise_standardised_images_are_refused(name, fits):
    with torch.device("meta"):
        model = timm.create_model(name)
    if fits:
        check_standardisation(model, dataset_info("imagenet"))
    else:
        with pytest.raises(HarnessError, match=r"augreg_in21k_ft_in1k .*mean \(0\.5, 0\.5, 0\.5\).*\(0\.485") as caught:
            check_standardisation(model, dataset_info("imagenet"))
        assert "\n" not in str(caught.value)
