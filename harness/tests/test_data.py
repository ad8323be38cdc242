from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from harness.data import DATASETS, Split, balanced_subset, load_dataset
from harness.errors import HarnessError
from harness.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def write_parquet(path, images, labels, *, image_column="img", label_column="label", names=None, **encoding):
    """A file in the hub's layout: struct<bytes, path>, int64, the class names in the schema's metadata."""

    def encode(pixels):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, **(encoding or {"format": "PNG"}))
        return {"bytes": buffer.getvalue(), "path": "x.png"}

    table = pa.table({image_column: [encode(pixels) for pixels in images], label_column: pa.array(labels, pa.int64())})
    if names:
        features = {"info": {"features": {label_column: {"names": names, "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, path)


def pictures(count, seed=0, size=32):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def cifar100(root, *, seed=0, **encoding):
    names = [f"class {i}" for i in range(100)]
    for split, count in (("train", 200), ("test", 100)):
        labels = np.arange(count) % 100
        path = root / "cifar100" / "cifar100" / f"{split}-00000-of-00001.parquet"
        write_parquet(path, pictures(count, seed), labels, label_column="fine_label", names=names, **encoding)


def test_digits_are_the_ones_of_scikit_learn(store):
    from sklearn.datasets import load_digits

    theirs, ours = load_digits(), load_dataset("digits", store)
    assert (len(ours.train), len(ours.test)) == (1437, 360)
    images = np.concatenate([ours.train.images, ours.test.images])
    np.testing.assert_allclose(images[:, 0] / 255 * 16, theirs.images, atol=0.04)
    np.testing.assert_array_equal(np.concatenate([ours.train.labels, ours.test.labels]), theirs.target)
    pixels = ours.train.images / 255
    assert abs(pixels.mean() - ours.info.mean[0]) < 1e-3
    assert abs(pixels.std() - ours.info.std[0]) < 1e-3


def test_cifar100_from_parquet(store, tmp_path):
    cifar100(tmp_path)
    data = load_dataset("cifar100", store, data_root=tmp_path)
    np.testing.assert_array_equal(data.train.images, pictures(200).transpose(0, 3, 1, 2))
    assert data.train.labels.tolist() == [i % 100 for i in range(200)]
    assert data.class_names[99] == "class 99"
    assert data.title == "CIFAR-100 (200 + 100 of 50,000 + 10,000 images)"


def test_all_the_published_images_need_no_word(store, tmp_path, monkeypatch):
    cifar100(tmp_path)
    monkeypatch.setitem(DATASETS, "cifar100", replace(DATASETS["cifar100"], train_images=200, test_images=100))
    assert load_dataset("cifar100", store, data_root=tmp_path).title == "CIFAR-100"


@pytest.mark.parametrize(
    ("there", "lost"),
    [
        (["train-00000-of-00002"], r"train-00001-of-00002\.parquet is missing"),
        (
            ["train-00002-of-00004", "train-00003-of-00004"],
            r"train-00000-.*, train-00001-of-00004\.parquet are missing",
        ),
    ],
)
def test_a_shard_that_is_not_there_is_named(store, tmp_path, there, lost):
    cifar100(tmp_path)
    folder = tmp_path / "cifar100" / "cifar100"
    whole = folder / "train-00000-of-00001.parquet"
    for name in there:
        (folder / f"{name}.parquet").write_bytes(whole.read_bytes())
    whole.unlink()
    with pytest.raises(HarnessError, match=lost) as caught:
        load_dataset("cifar100", store, data_root=tmp_path)
    assert "\n" not in str(caught.value)


def test_the_second_time_nothing_is_decoded(store, tmp_path):
    cifar100(tmp_path)
    lines = []
    first = load_dataset("cifar100", store, data_root=tmp_path, say=lines.append)
    second = load_dataset("cifar100", store, data_root=tmp_path, say=lines.append)
    assert len(lines) == 1
    assert isinstance(second.train.images, np.memmap)
    assert second.fingerprint == first.fingerprint


def test_the_fingerprint_is_of_the_content(store, tmp_path):
    cifar100(tmp_path / "one")
    cifar100(tmp_path / "same", format="BMP")  # other files, same pixels
    cifar100(tmp_path / "other", seed=1)
    one, same, other = (load_dataset("cifar100", store, data_root=tmp_path / name) for name in ("one", "same", "other"))
    assert one.fingerprint == same.fingerprint != other.fingerprint


@pytest.mark.parametrize("quality", [75, 50, 90])
def test_a_lossy_copy_says_so(store, tmp_path, quality):
    cifar100(tmp_path, format="JPEG", quality=quality)
    assert load_dataset("cifar100", store, data_root=tmp_path).title == (
        f"CIFAR-100 (JPEG q{quality} copy, 200 + 100 of 50,000 + 10,000 images)"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label_column": "label"}, "fine_label"),
        ({"image_column": "image"}, "'img'"),
        ({"size": 28}, "28×28 instead of 32×32"),
        ({"labels": np.arange(200)}, r"labels 0\.\.199"),
    ],
)
def test_files_of_another_layout_are_refused(store, tmp_path, change, message):
    cifar100(tmp_path)
    path = tmp_path / "cifar100" / "cifar100" / "train-00000-of-00001.parquet"
    arguments = {"label_column": "fine_label", **change}
    images, labels = pictures(200, size=arguments.pop("size", 32)), arguments.pop("labels", np.arange(200) % 100)
    write_parquet(path, images, labels, **arguments)
    with pytest.raises(HarnessError, match=message):
        load_dataset("cifar100", store, data_root=tmp_path)


def test_files_that_are_not_there_are_named(store, tmp_path):
    with pytest.raises(HarnessError, match=r"no train-\*\.parquet and no test-.*uoft-cs/cifar10.*plain_text"):
        load_dataset("cifar10", store, data_root=tmp_path)


def test_no_network_is_one_line(store, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(HarnessError, match="--data-root") as caught:
        load_dataset("cifar10", store, offline=True)
    assert "\n" not in str(caught.value)


def test_unknown_names_name_the_nearest(store):
    with pytest.raises(HarnessError, match="did you mean 'cifar100'"):
        load_dataset("cifar1000", store)


@given(st.data())
def test_subsets_are_balanced_and_nested(data):
    classes = data.draw(st.integers(2, 6))
    labels = np.array(data.draw(st.permutations([label for label in range(classes) for _ in range(8)])))
    split = Split(np.arange(len(labels), dtype=np.uint8)[:, None, None, None], labels)
    small, large = sorted(data.draw(st.tuples(st.integers(1, len(labels)), st.integers(1, len(labels)))))
    chosen = {}
    for count in (small, large):
        subset = balanced_subset(split, count)
        shares = np.bincount(subset.labels, minlength=classes)
        assert len(subset) == count
        assert shares.max() - shares.min() <= 1
        np.testing.assert_array_equal(split.labels[subset.images[:, 0, 0, 0]], subset.labels)
        chosen[count] = set(subset.images[:, 0, 0, 0].tolist())
    assert chosen[small] <= chosen[large]


def test_the_first_draw_is_what_it_was_before_there_were_others():
    split = Split(np.arange(40, dtype=np.uint8)[:, None, None, None], np.arange(40) % 4)
    draws = [balanced_subset(split, 10, draw).images.ravel().tolist() for draw in range(3)]
    assert draws[0] == balanced_subset(split, 10).images.ravel().tolist() == [0, 1, 11, 12, 17, 21, 22, 27, 28, 30]
    assert len({tuple(draw) for draw in draws}) == 3


def test_a_subset_that_is_too_large_is_refused():
    labels = np.repeat(np.arange(10), 5)
    with pytest.raises(HarnessError, match="60 images; at most 50"):
        balanced_subset(Split(np.zeros((50, 1, 8, 8), np.uint8), labels), 60)


def test_every_data_set_is_described():
    for info in DATASETS.values():
        assert len(info.mean) == len(info.std) == info.channels
