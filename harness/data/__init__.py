"""Data sets behind one interface: uint8 images, labels, class names and a fingerprint of the content."""

from harness.data.catalogue import DATASETS, DatasetInfo, dataset_info
from harness.data.dataset import Dataset, Split, balanced_numbers, balanced_subset, held_out
from harness.data.encoded import EncodedImages
from harness.data.source import load_dataset

__all__ = [
    "DATASETS",
    "Dataset",
    "DatasetInfo",
    "EncodedImages",
    "Split",
    "balanced_numbers",
    "balanced_subset",
    "dataset_info",
    "held_out",
    "load_dataset",
]
