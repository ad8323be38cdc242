"""The processes that train one run together, a slice of every batch each (torchrun; DDP)."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from harness.errors import HarnessError
from harness.plan.recipe import Recipe


@dataclass(frozen=True)
class Group:
    """One process among `size`; alone by default."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes to the store and speaks to the terminal."""
        return self.rank == 0

    def slice(self, batch: Tensor) -> Tensor:
        """This process's share of a batch that all of them have."""
        share = len(batch) // self.size
        return batch[self.rank * share :][:share]

    def whole(self, share: Tensor) -> Tensor:
        """The batch of which each process has its slice."""
        if self.size == 1:
            return share
        batch = torch.empty(self.size * len(share), *share.shape[1:], dtype=share.dtype, device=share.device)
        dist.all_gather_into_tensor(batch, share.contiguous())
        return batch

    def wrap(self, model: nn.Module, recipe: Recipe) -> nn.Module:
        """The network as this process runs it: gradients are averaged over the group, BatchNorm sees all of a batch.

        Raises:
            HarnessError: the batch cannot be shared out evenly, or BatchNorm's statistics cannot be shared.
        """
        if self.size == 1:
            return model
        if recipe.batch_size % self.size:
            raise HarnessError(f"a batch of {recipe.batch_size} cannot be shared out among {self.size} processes")
        device = next(model.parameters()).device
        if any(isinstance(module, _BatchNorm) for module in model.modules()):
            if device.type == "cpu":
                raise HarnessError("BatchNorm's statistics are shared among GPUs only; on a CPU, use one process")
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        return DistributedDataParallel(model, device_ids=[device] if device.type == "cuda" else None)

    def agree(self, loss: Tensor, hits: Tensor, stop: bool) -> tuple[Tensor, Tensor, bool]:
        """Mean loss and all hits of the group; and to stop as soon as one of its processes was asked to."""
        if self.size == 1:
            return loss, hits, stop
        flag = torch.tensor(stop, dtype=torch.float64, device=loss.device)
        together = torch.stack([loss.double() / self.size, hits.double(), flag])
        dist.all_reduce(together)
        return together[0], together[1].round().long(), bool(together[2] > 0)

    def wait(self) -> None:
        """Until all have come here."""
        if self.size > 1:
            dist.barrier()


ALONE = Group()


@contextmanager
def joined(device: str) -> Iterator[tuple[Group, torch.device]]:
    """Join the group that torchrun started, if it did: this process's place in it, and its device."""
    if "WORLD_SIZE" not in os.environ:
        yield Group(), torch.device(device)
        return
    own = torch.device(device, int(os.environ["LOCAL_RANK"])) if device == "cuda" else torch.device(device)
    if own.type == "cuda":
        torch.cuda.set_device(own)
    # DDP imports it, and its functions take the group there is by then as their default. Such a group outlives its end
    # below, and its threads the interpreter, which they can abort.
    importlib.import_module("torch.distributed.nn.functional")
    dist.init_process_group("nccl" if own.type == "cuda" else "gloo")
    try:
        yield Group(dist.get_rank(), dist.get_world_size()), own
    finally:
        dist.destroy_process_group()
