"""What is known of each data set before a byte of it is read."""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import HarnessError, nearest


@dataclass(frozen=True)
class DatasetInfo:
    """The published facts of a data set.

    `mean` and `std` standardise images scaled to [0, 1], per channel; CIFAR's and ImageNet's are those of the official
    configurations, the digits' were computed from their 1,437 training images. `image_size` is what networks see:
    streamed images have all sizes, and stay encoded where they are because decoded they would fit nowhere.
    """

    name: str
    title: str
    classes: int
    image_size: int
    channels: int
    train_images: int
    test_images: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    repository: str | None = None  # on the Hugging Face hub
    repository_folder: str = ""
    image_column: str = "img"
    label_column: str = "label"
    streamed: bool = False


DATASETS = {
    info.name: info
    for info in (
        DatasetInfo(
            name="digits",
            title="digits (8×8)",
            classes=10,
            image_size=8,
            channels=1,
            train_images=1437,
            test_images=360,
            mean=(0.3054,),
            std=(0.3753,),
        ),
        DatasetInfo(
            name="cifar10",
            title="CIFAR-10",
            classes=10,
            image_size=32,
            channels=3,
            train_images=50_000,
            test_images=10_000,
            mean=(0.4914, 0.4822, 0.4465),
            std=(0.2023, 0.1994, 0.2010),
            repository="uoft-cs/cifar10",
            repository_folder="plain_text",
        ),
        DatasetInfo(
            name="cifar100",
            title="CIFAR-100",
            classes=100,
            image_size=32,
            channels=3,
            train_images=50_000,
            test_images=10_000,
            mean=(0.5071, 0.4867, 0.4408),
            std=(0.2675, 0.2565, 0.2761),
            repository="uoft-cs/cifar100",
            repository_folder="cifar100",
            label_column="fine_label",
        ),
        DatasetInfo(
            name="imagenet",
            title="ImageNet-1K",
            classes=1000,
            image_size=224,
            channels=3,
            train_images=1_281_167,
            test_images=50_000,
            mean=(0.485, 0.456, 0.406),
            std=(0.229, 0.224, 0.225),
            repository="ILSVRC/imagenet-1k",
            repository_folder="data",
            image_column="image",
            streamed=True,
        ),
    )
}


def dataset_info(name: str) -> DatasetInfo:
    """The facts of one data set.

    Raises:
        HarnessError: no such data set; the message names the nearest.
    """
    if name not in DATASETS:
        raise HarnessError(f"no data set {name!r}; {nearest(name, DATASETS)}")
    return DATASETS[name]
