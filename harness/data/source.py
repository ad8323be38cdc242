"""Where data sets come from: the digits inside scikit-learn, parquet files in the layout of the Hugging Face hub.

Everything is decoded once into memory-mapped arrays in the store, but for ImageNet, which stays as it is
(`harness.data.imagenet`). Nothing that was downloaded is ever unpickled.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.catalogue import DatasetInfo, dataset_info
from harness.data.dataset import Dataset, Split
from harness.data.imagenet import class_names_in, open_imagenet
from harness.errors import HarnessError
from harness.store import Artifact, Store
from harness.store.identity import canonical_json, short_digest

DECODING_VERSION = 1


def load_dataset(
    name: str, store: Store, *, data_root: Path | None = None, offline: bool = False, say: Callable[[str], None] = print
) -> Dataset:
    """Open a data set, decoding it into the store the first time.

    Args:
        name: a name of `DATASETS`.
        store: keeps the decoded arrays.
        data_root: `<data_root>/<name>/` holds the hub's parquet files, or ImageNet's folders; without it they come from
            the hub.
        offline: do not download; what the hub's cache has is used.
        say: takes one line when something slow begins.

    Raises:
        HarnessError: no such data set, no files, one of a numbered series missing, no network, or files of another
            layout. Fewer images than the original's in files that are all there are no fault: the title says so.
    """
    info = dataset_info(name)
    if info.streamed:
        return open_imagenet(info, data_root)
    if name == "digits":
        key, decode = f"data/digits-{DECODING_VERSION}", _decode_digits
    else:
        files = find_parquet(info, data_root, offline)
        key = f"data/{name}-{short_digest([DECODING_VERSION, _identity_of(files)])}"

        def decode(info: DatasetInfo) -> dict[str, Any]:
            say(f"{info.title}: decoding the images, once")
            return _decode_parquet(info, files)

    artifact = store.read(key)
    if artifact is None:
        with store.lock(key):
            artifact = store.read(key) or _keep(store, key, decode(info))
    return _open(info, artifact)


def _keep(store: Store, key: str, decoded: dict[str, Any]) -> Artifact:
    sha = hashlib.sha256()
    for split in ("train", "test"):
        sha.update(np.ascontiguousarray(decoded[split].images).data)
        sha.update(np.ascontiguousarray(decoded[split].labels).data)
    sha.update(canonical_json(decoded["class_names"]).encode())
    files = {}
    for split in ("train", "test"):
        files[f"{split}-images.npy"] = _npy(decoded[split].images)
        files[f"{split}-labels.npy"] = _npy(decoded[split].labels)
    meta = {"title": decoded["title"], "class_names": decoded["class_names"], "fingerprint": sha.hexdigest()}
    return store.write(key, files, meta)


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _open(info: DatasetInfo, artifact: Artifact) -> Dataset:
    def split(name: str) -> Split:
        images = np.load(artifact.path / f"{name}-images.npy", mmap_mode="r", allow_pickle=False)
        return Split(images, np.load(artifact.path / f"{name}-labels.npy", allow_pickle=False))

    train, test = split("train"), split("test")
    return Dataset(
        info=info,
        title=_title(info, artifact.meta["title"], len(train), len(test)),
        class_names=tuple(artifact.meta["class_names"]),
        train=train,
        test=test,
        fingerprint=artifact.meta["fingerprint"],
    )


def _title(info: DatasetInfo, title: str, train: int, test: int) -> str:
    """What the decoded files were called, and how many images are there where it is not all or too many.

    Counted when it is opened, not noted when it was decoded: stores from before this was counted say it as well.
    """
    if (train, test) == (info.train_images, info.test_images):
        return title
    counts = f"{train:,} + {test:,} of {info.train_images:,} + {info.test_images:,} images"
    return f"{title} ({counts})" if title == info.title else f"{title.removesuffix(')')}, {counts})"


def _decode_digits(info: DatasetInfo) -> dict[str, Any]:
    """scikit-learn's 1,797 handwritten digits, grey values 0..16 stretched to 0..255.

    scikit-learn ships the test set of the UCI original, whose 13 writers come in sequence. The last fifth is the
    test split, as in scikit-learn's own examples: test digits then come from writers not seen in training.
    """
    table = np.loadtxt(digits_file(), delimiter=",")
    images = np.rint(table[:, :-1].reshape(-1, 1, 8, 8) * (255 / 16)).astype(np.uint8)
    labels = table[:, -1].astype(np.int64)
    cut = info.train_images
    return {
        "title": info.title,
        "class_names": [str(digit) for digit in range(10)],
        "train": Split(images[:cut], labels[:cut]),
        "test": Split(images[cut:], labels[cut:]),
    }


def digits_file() -> Path:
    """Inside scikit-learn, whose import takes longer than all else here.

    Raises:
        HarnessError: scikit-learn is not installed, or not whole.
    """
    spec = find_spec("sklearn")
    path = Path(spec.origin if spec and spec.origin else "sklearn").parent / "datasets" / "data" / "digits.csv.gz"
    if not path.is_file():
        raise HarnessError(f"no digits: scikit-learn with its {path.name} is not installed; install it anew")
    return path


def find_parquet(info: DatasetInfo, data_root: Path | None, offline: bool) -> dict[str, list[Path]]:
    """Split -> its parquet files; none is opened.

    Raises:
        HarnessError: see `load_dataset`.
    """
    if data_root is not None:
        folder = data_root / info.name
        found = {split: sorted(folder.rglob(f"{split}-*.parquet")) for split in ("train", "test")}
        missing = [split for split, files in found.items() if not files]
        if missing:
            raise HarnessError(
                f"no {' and no '.join(f'{split}-*.parquet' for split in missing)} below {folder}; expected the hub's "
                f"layout of {info.repository}, e.g. {folder / info.repository_folder / 'train-00000-of-00001.parquet'}"
            )
        if lost := [name for files in found.values() for name in _missing_from_series(files)]:
            raise HarnessError(
                f"{info.title} in {folder} is not whole: {', '.join(lost)} {'are' if len(lost) > 1 else 'is'} missing; "
                f"get what is missing of {info.repository}, or take its siblings away"
            )
        return found
    return {split: [_from_hub(info, split, offline)] for split in ("train", "test")}


SHARD = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<total>\d{5})")


def _missing_from_series(files: list[Path]) -> list[str]:
    """The files that must also be there: `train-00000-of-00002.parquet` says that it is one of two."""
    lost = []
    for path in files:
        shard = SHARD.fullmatch(path.stem)
        if shard is None:
            continue
        names = [f"{shard['stem']}-{number:05}-of-{shard['total']}.parquet" for number in range(int(shard["total"]))]
        lost += [name for name in names if path.with_name(name) not in files]
    return list(dict.fromkeys(lost))


def _from_hub(info: DatasetInfo, split: str, offline: bool) -> Path:
    from huggingface_hub import hf_hub_download

    assert info.repository is not None
    filename = f"{info.repository_folder}/{split}-00000-of-00001.parquet"
    try:
        path = hf_hub_download(info.repository, filename, repo_type="dataset", local_files_only=offline)
    except Exception as error:  # the hub's errors have no common base; each means that the file is not to be had
        raise HarnessError(
            f"cannot get {filename} of {info.repository} from the Hugging Face hub "
            f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}); with no "
            f"network, put the files below <folder>/{info.name}/ and give --data-root <folder>"
        ) from error
    return Path(path)


def _identity_of(files: dict[str, list[Path]]) -> dict[str, list[str]]:
    """The files' own SHA-256, so that other files at the same place are other data."""
    return {split: [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths] for split, paths in files.items()}


def _decode_parquet(info: DatasetInfo, files: dict[str, list[Path]]) -> dict[str, Any]:
    qualities: set[str] = set()
    splits = {split: _decode_split(info, paths, qualities) for split, paths in files.items()}
    names = class_names_in(files["train"][0], info)
    copy = f" ({', '.join(sorted(qualities))} copy)" if qualities else ""
    return {"title": info.title + copy, "class_names": names, **splits}


def _decode_split(info: DatasetInfo, paths: list[Path], qualities: set[str]) -> Split:
    import pyarrow.parquet as parquet

    images, labels = [], []
    for path in paths:
        try:
            table = parquet.read_table(path, columns=[info.image_column, info.label_column])
            cells = table[info.image_column]
            images += [_decode_image(info, cell["bytes"].as_py(), qualities) for cell in cells]
            labels.append(np.asarray(table[info.label_column], dtype=np.int64))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise HarnessError(
                f"cannot read {path} as {info.title}: {str(error).splitlines()[0]}; expected the columns "
                f"{info.image_column!r} (struct of bytes and path) and {info.label_column!r} of {info.repository}"
            ) from error
    if not images:
        raise HarnessError(f"{paths[0]} holds no images; expected {info.title} in the layout of {info.repository}")
    split = Split(np.stack(images), np.concatenate(labels))
    if split.labels.min() < 0 or split.labels.max() >= info.classes:
        raise HarnessError(
            f"{paths[0]} has labels {split.labels.min()}..{split.labels.max()}; {info.title} has 0..{info.classes - 1}"
        )
    return split


def _decode_image(info: DatasetInfo, content: bytes, qualities: set[str]) -> np.ndarray:
    """One encoded image as uint8 [channel, height, width]; a lossy encoding is remembered in `qualities`."""
    from PIL import Image
    from PIL.JpegImagePlugin import JpegImageFile

    image = Image.open(io.BytesIO(content))
    if isinstance(image, JpegImageFile):
        qualities.add(f"JPEG q{_jpeg_quality(image.quantization)}")
    pixels = np.asarray(image.convert("RGB" if info.channels == 3 else "L"))
    if pixels.shape[:2] != (info.image_size, info.image_size):
        raise ValueError(
            f"an image of {pixels.shape[1]}×{pixels.shape[0]} instead of {info.image_size}×{info.image_size}"
        )
    return pixels.reshape(*pixels.shape[:2], info.channels).transpose(2, 0, 1)


# The luminance table of the JPEG standard (ITU T.81, annex K.1), summed; every encoder scales it by the quality.
_STANDARD_TABLE_SUM = 3688


def _jpeg_quality(tables: dict[int, list[int]]) -> int:
    """The quality setting 1..100 behind a quantisation table, after the scaling that libjpeg made customary."""
    scale = 100 * sum(tables[0]) / _STANDARD_TABLE_SUM
    return round(100 - scale / 2 if scale <= 100 else 5000 / scale)
