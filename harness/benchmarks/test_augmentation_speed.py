"""The paper's augmentation, whole: this package's against timm's PIL pipeline, side by side on the same photos.

Crop, flip, RandAugment, standardisation, mixup or CutMix, at 32×32. Nothing is asserted: read `images_per_second`.
"""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.utils.data import DataLoader, Dataset, RandomSampler

from harness.data import Split, dataset_info
from harness.plan.recipe import PAPER
from harness.training.batch import training_batches
from harness.training.resident import Resident
from models._timm import timm  # noqa: F401  imports torchvision the one way that works everywhere

from PIL import Image  # isort: skip
from timm.data import Mixup, create_transform  # isort: skip
from torchvision import transforms  # isort: skip

INFO = dataset_info("cifar100")
GPU = pytest.param("cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")])
WORKERS = 2  # of timm's
COUNT = 12_288


@pytest.fixture(scope="module")
def photos():
    """Smooth uint8 images, as photos are, and labels; noise would make PIL's histograms and branches behave oddly."""
    stream = torch.Generator().manual_seed(0)
    coarse = torch.randn(COUNT, 3, 6, 6, generator=stream)
    smooth = torch.nn.functional.interpolate(coarse, size=32, mode="bicubic") * 55 + 120
    return smooth.clamp(0, 255).to(torch.uint8), torch.randint(INFO.classes, (COUNT,), generator=stream)


class Photos(Dataset):
    """What torchvision's CIFAR does: an array to PIL, then the transformation."""

    def __init__(self, images, labels, transform):
        self.images, self.labels = images.permute(0, 2, 3, 1).contiguous().numpy(), labels.tolist()
        self.transform = transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.transform(Image.fromarray(self.images[index])), self.labels[index]


@pytest.fixture(params=[1, 2], ids=["1 thread", "2 threads"])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def timed(benchmark, work, images):
    """Time a stretch that yields so many images."""
    benchmark.pedantic(work, rounds=5, warmup_rounds=1)
    if benchmark.stats:
        benchmark.extra_info["images_per_second"] = images / benchmark.stats.stats.median


@pytest.mark.benchmark(group="augmentation, whole")
@pytest.mark.parametrize("batch_size", [96, 512])
@pytest.mark.parametrize("device", ["cpu", GPU])
def test_ours(benchmark, photos, threads, device, batch_size):
    if device == "cuda" and threads > 1:
        pytest.skip("threads make no difference on a GPU")
    images, labels = photos
    split = Resident(Split(images.numpy(), labels.numpy()), INFO, torch.device(device))
    stream = torch.Generator(device).manual_seed(0)
    steps = COUNT // 2 // batch_size

    @torch.no_grad()
    def work():
        order = torch.randperm(COUNT, device=device)[: steps * batch_size]
        for _ in training_batches(split, order, batch_size, PAPER, stream, seed=0):
            pass
        if device == "cuda":
            torch.cuda.synchronize()

    timed(benchmark, work, steps * batch_size)


@pytest.mark.benchmark(group="augmentation, whole")
@pytest.mark.parametrize("batch_size", [96, 512])
def test_timm_with_two_workers(benchmark, photos, batch_size):
    _, *rest = create_transform(
        32,
        is_training=True,
        color_jitter=0.0,
        auto_augment="rand-m9-n2-mstd1.0",
        interpolation="random",
        mean=INFO.mean,
        std=INFO.std,
        separate=True,
    )
    transform = transforms.Compose([transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip(), *rest])
    dataset = Photos(*photos, transform)
    # Workers prefetch: a stretch that began with full queues would look faster than it is, and one with the end of an
    # epoch in it slower. So one epoch without an end, whose stretches begin and end with queues equally full.
    sampler = RandomSampler(dataset, replacement=True, num_samples=10**9)
    batches = iter(DataLoader(dataset, batch_size=batch_size, sampler=sampler, num_workers=WORKERS))
    mixing = Mixup(mixup_alpha=1.0, cutmix_alpha=0.8, label_smoothing=0.1, num_classes=INFO.classes)

    steps = COUNT // 2 // batch_size

    def work():
        for images, labels in itertools.islice(batches, steps):
            mixing(images, labels)

    timed(benchmark, work, steps * batch_size)
