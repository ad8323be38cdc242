"""A split that is decoded and augmented on the way, by loader processes: timm's transforms, torch's DataLoader.

What is drawn for an image depends on the epoch's seed and the image alone, and on how often it came before in that
epoch: neither the number of processes nor an interruption changes a bit.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from PIL.Image import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from harness.data import DatasetInfo, EncodedImages, Split
from harness.errors import HarnessError
from harness.plan.recipe import Recipe
from harness.store.identity import subseed
from harness.store.provenance import cores
from harness.training.group import ALONE, Group
from harness.training.loader import Loader
from models._timm import timm  # noqa: F401  imports torchvision the one way that works everywhere

from timm.data import create_transform  # isort: skip

Transform = Callable[[Image], Tensor]
CROP_SHARE = 0.875  # of the resized image's side: 256 pixels are cut to 224


class Streamed(Loader):
    """A split of encoded images.

    Training sees timm's random resized crop (area 0.08..1, aspect 3/4..4/3, bilinear or bicubic by chance), the flip
    and RandAugment of the recipe; `crop_padding` has no meaning here. Evaluation resizes the shorter side (bicubic) and
    crops the centre. (Paper A.1, official configuration imagenet_vit.)

    Args:
        group: its processes share the decoding of a training batch, and then all have all of it.
        workers: loader processes; by default one for each core that the group leaves to this process, and none on a
            CPU, where the network needs the cores.
    """

    def __init__(
        self,
        split: Split,
        info: DatasetInfo,
        device: torch.device,
        group: Group = ALONE,
        workers: int | None = None,
    ):
        super().__init__(split, info, device)
        assert isinstance(split.images, EncodedImages)
        self.images, self.info, self.group = split.images, info, group
        self.workers = _workers(device) if workers is None else workers

    def _plain(self, size: int) -> Iterator[Tensor]:
        return self._stream(torch.arange(len(self)).split(size), self._test_transform(), None)

    def augmented(
        self, batches: Sequence[Tensor], recipe: Recipe, generator: torch.Generator, seed: int
    ) -> Iterator[Tensor]:
        """Random resized crops, flips and RandAugment, drawn from the seed; see `Loader.augmented`.

        A recipe without any of them shows the images as they are tested on.
        """
        drawn = recipe.crop_padding or recipe.flip or recipe.randomly_augmented
        transform = self._training_transform(recipe) if drawn else self._test_transform()
        # On the host at once: one index after the other would wait for the device again and again.
        for images in self._stream([self.group.slice(batch.cpu()) for batch in batches], transform, seed):
            yield self.group.whole(images)

    def _test_transform(self) -> Transform:
        return create_transform(self.info.image_size, interpolation="bicubic", crop_pct=CROP_SHARE, normalize=False)

    def _training_transform(self, recipe: Recipe) -> Transform:
        return create_transform(
            self.info.image_size,
            is_training=True,
            hflip=0.5 if recipe.flip else 0.0,
            color_jitter=None,  # type: ignore[arg-type]  # none at all, as timm documents it
            auto_augment=recipe.rand_augment if recipe.randomly_augmented else None,
            interpolation="random",
            mean=self.info.mean,
            normalize=False,
        )

    def _stream(self, batches: Sequence[Tensor], transform: Transform, seed: int | None) -> Iterator[Tensor]:
        """The transformed images of each batch, on the device."""
        workers = min(self.workers, len(batches) - 1)  # a single batch is not worth a process
        loader = DataLoader(
            _Transformed(self.images, transform, seed),
            batch_size=None,
            sampler=_with_occurrence(batches),  # type: ignore[arg-type]  # an item is a whole batch
            num_workers=max(workers, 0),
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),  # the loader seeds its processes: not from the stream of stochastic depth
        )
        loaded = iter(loader)
        try:
            for _ in batches:
                images = next(loaded)
                if isinstance(images, str):
                    raise HarnessError(images)
                yield images.to(self.device, non_blocking=True).contiguous(memory_format=torch.channels_last)
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise HarnessError(
                f"a process that reads {self.info.title} died: {str(error).splitlines()[0]}; its batches take shared "
                "memory: in a container, give it more (docker --shm-size)"
            ) from error
        finally:
            del loaded  # which ends its processes, also while a traceback keeps this frame


def _with_occurrence(batches: Sequence[Tensor]) -> Iterator[list[tuple[int, int]]]:
    """Each index with how often it came before: an image that comes again is augmented anew."""
    times: Counter[int] = Counter()
    for batch in batches:
        items = []
        for index in batch.tolist():
            items.append((index, times[index]))
            times[index] += 1
        yield items


class _Transformed(Dataset[Any]):
    """(index, occurrence) in, uint8 [batch, channel, height, width] out, in whichever process.

    An error is handed on as its message: raised in a loader process, it would arrive as a page of traceback.
    """

    def __init__(self, images: EncodedImages, transform: Transform, seed: int | None):
        self.images, self.transform, self.seed = images, transform, seed

    def __getitem__(self, chosen: list[tuple[int, int]]) -> Tensor | str:
        try:
            return torch.stack([self._transformed(*item) for item in chosen])
        except HarnessError as error:
            return str(error)

    def _transformed(self, index: int, occurrence: int) -> Tensor:
        image = self.images.decode(index)
        if self.seed is None:
            return self.transform(image)
        with drawing_from(subseed(self.seed, index, occurrence)):
            return self.transform(image)


@contextmanager
def drawing_from(seed: int) -> Iterator[None]:
    """Seed the three global streams that timm's transforms draw from, for a while."""
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])


def _workers(device: torch.device) -> int:
    if device.type == "cpu":
        return 0
    return max(cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")), 1)
