"""ImageNet-1K as people have it: a folder an image class, or the parquet files of the Hugging Face hub.

It is looked up with every session, never copied. The official validation images are the test split, as in the paper.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from harness.data.catalogue import DatasetInfo
from harness.data.dataset import Dataset, Split
from harness.data.encoded import ImageFiles, ImageRows, listing_fingerprint
from harness.errors import HarnessError

FOLDERS = {"train": "train", "test": "val"}
PARQUET = {"train": "train-*.parquet", "test": "validation-*.parquet"}
SUFFIXES = (".jpeg", ".jpg", ".png")


def open_imagenet(info: DatasetInfo, data_root: Path | None) -> Dataset:
    """Find out what is there; no image is read. Without training images, networks can still be measured.

    Args:
        data_root: `<data_root>/<name>/` holds `{train,val}/<wnid>/*.JPEG`, or the hub's parquet files in any folder
            below.

    Raises:
        HarnessError: no data root, neither layout, or classes other than the thousand of ImageNet-1K.
    """
    folder = (data_root or Path()) / info.name
    files = find_imagenet(info, data_root)
    return _from_folders(info, folder) if files is None else _from_parquet(info, folder, files)


def find_imagenet(info: DatasetInfo, data_root: Path | None) -> dict[str, list[Path]] | None:
    """Split -> its parquet files; None where each class has a folder. No image is listed.

    Raises:
        HarnessError: no data root, or neither layout.
    """
    folder = (data_root or Path()) / info.name
    layouts = (
        f"{folder}/{{train,val}}/<wnid>/*.JPEG, or the parquet files of {info.repository}, "
        f"e.g. {folder / info.repository_folder / 'validation-00000-of-00014.parquet'}"
    )
    if data_root is None:
        raise HarnessError(
            f"{info.title} is too large to be downloaded unasked (150 GB, after accepting its terms on the hub); "
            f"give --data-root <folder> with <folder>/{layouts}"
        )
    if (folder / FOLDERS["test"]).is_dir():
        return None
    files = {split: sorted(folder.rglob(pattern)) for split, pattern in PARQUET.items()}
    if not files["test"]:
        raise HarnessError(f"no {info.title} validation images in {folder}; expected {layouts}")
    return files


def _from_folders(info: DatasetInfo, folder: Path) -> Dataset:
    classes = _classes(info, folder / FOLDERS["test"])
    splits, entries = {}, []
    for split, name in FOLDERS.items():
        place = folder / name
        there = place.is_dir()
        if there and _classes(info, place) != classes:
            raise HarnessError(f"{folder}: train and val have class folders of different names; expected the same")
        found = [_images_in(place, wnid) if there else [] for wnid in classes]
        files = [entry for images in found for entry in images]
        paths = np.array([os.fsencode(path) for path, _ in files], dtype=np.bytes_)
        labels = np.repeat(np.arange(len(classes)), [len(images) for images in found]).astype(np.int64)
        splits[split] = Split(ImageFiles(place, paths), labels)
        entries += [(f"{name}/{path}", size, b"") for path, size in files]
    return _dataset(info, classes, splits, listing_fingerprint("paths-and-sizes", entries))


def _classes(info: DatasetInfo, folder: Path) -> list[str]:
    """The class folders in the order of the labels, which is that of the wnids."""
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    if len(names) != info.classes:
        raise HarnessError(
            f"{folder} holds {len(names):,} class folders; {info.title} has {info.classes:,}, named by wnid, "
            "e.g. n01440764, each with the images of its class"
        )
    return names


def _images_in(folder: Path, wnid: str) -> list[tuple[str, int]]:
    """Path and size of each image of a class."""
    found = [
        (f"{wnid}/{entry.name}", entry.stat().st_size)
        for entry in os.scandir(folder / wnid)
        if entry.name.lower().endswith(SUFFIXES)
    ]
    return sorted(found)


def _from_parquet(info: DatasetInfo, folder: Path, files: dict[str, list[Path]]) -> Dataset:
    entries = [
        (str(path.relative_to(folder)), path.stat().st_size, _footer(path))
        for paths in files.values()
        for path in paths
    ]
    splits = {split: _rows(info, paths) for split, paths in files.items()}
    names = class_names_in(files["test"][0], info)
    return _dataset(info, names, splits, listing_fingerprint("names-sizes-and-footers", entries))


def _rows(info: DatasetInfo, paths: list[Path]) -> Split:
    import pyarrow.parquet as parquet

    places, labels = [np.empty((0, 3), np.int64)], [np.empty(0, np.int64)]
    for number, path in enumerate(paths):
        try:
            with parquet.ParquetFile(path) as file:
                if info.image_column not in file.schema_arrow.names:
                    raise KeyError(f"no column {info.image_column!r}")
                labels.append(np.asarray(file.read([info.label_column])[info.label_column], dtype=np.int64))
                counts = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise HarnessError(
                f"cannot read {path} as {info.title}: {str(error).splitlines()[0]}; expected the columns "
                f"{info.image_column!r} (struct of bytes and path) and {info.label_column!r} of {info.repository}"
            ) from error
        places += [
            np.stack([np.full(count, number), np.full(count, group), np.arange(count)], axis=1)
            for group, count in enumerate(counts)
        ]
        if len(labels[-1]) and not 0 <= labels[-1].min() <= labels[-1].max() < info.classes:
            raise HarnessError(
                f"{path} has labels {labels[-1].min()}..{labels[-1].max()}; {info.title} has 0..{info.classes - 1}"
            )
    return Split(ImageRows(tuple(paths), info.image_column, np.concatenate(places)), np.concatenate(labels))


def _footer(path: Path) -> bytes:
    """A parquet file's own description, in front of its length (4 bytes) and the closing "PAR1"."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(end - 8, 0))
        length = int.from_bytes(file.read(4), "little")
        file.seek(max(end - 8 - length, 0))
        return file.read(length)


def class_names_in(path: Path, info: DatasetInfo) -> list[str]:
    """The class names in a parquet file's own description, or the numbers where it has none."""
    import pyarrow.parquet as parquet

    described = (parquet.read_schema(path).metadata or {}).get(b"huggingface")
    if described:
        feature = json.loads(described)["info"]["features"].get(info.label_column, {})
        if "names" in feature:
            return [str(name) for name in feature["names"]]
    return [str(label) for label in range(info.classes)]


def _dataset(info: DatasetInfo, names: list[str], splits: dict[str, Split], fingerprint: str) -> Dataset:
    """The title says when images are missing; with no training images at all nobody can have trained on fewer."""
    found = {
        "training": (len(splits["train"]), info.train_images),
        "validation": (len(splits["test"]), info.test_images),
    }
    other = [
        f"{some:,} of {whole:,} {split} images" for split, (some, whole) in found.items() if some not in (0, whole)
    ]
    title = info.title + (f" ({', '.join(other)})" if other else "")
    return Dataset(info, title, tuple(names), splits["train"], splits["test"], fingerprint)
