"""Where the files of a data set are, by their names alone: nothing is read, decoded, downloaded or written."""

from __future__ import annotations

from pathlib import Path

from harness.data.catalogue import dataset_info
from harness.data.imagenet import FOLDERS, find_imagenet
from harness.data.source import digits_file, find_parquet
from harness.errors import HarnessError


def whereabouts(name: str, data_root: Path | None) -> str:
    """In words, e.g. `/data/cifar10` or `in the hub's cache`.

    Args:
        name: a name of `DATASETS`.
        data_root: see `load_dataset`.

    Raises:
        HarnessError: it is not here; what is expected, and where.
    """
    info = dataset_info(name)
    if name == "digits":
        digits_file()
        return "inside scikit-learn"
    if not info.streamed:
        try:
            find_parquet(info, data_root, offline=True)
        except HarnessError as error:
            if data_root is not None:
                raise
            raise HarnessError(
                f"not in the Hugging Face hub's cache: the first run downloads it; with no network, put the files of "
                f"{info.repository} below <folder>/{name}/ and give --data-root <folder>"
            ) from error
        return "in the Hugging Face hub's cache" if data_root is None else str(data_root / name)
    files = find_imagenet(info, data_root)
    folder = (data_root or Path()) / name
    whole = (folder / FOLDERS["train"]).is_dir() if files is None else bool(files["train"])
    return str(folder) if whole else f"{folder}, without training images"
