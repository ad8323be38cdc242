"""The state of a run between two steps, as safetensors: everything that the next step depends on."""

from __future__ import annotations

from typing import Any, TypedDict, cast

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from harness.errors import HarnessError
from harness.plan.run import Run
from harness.store import Artifact, Store


class Position(TypedDict):
    """Where a run is: steps done, sums over the epoch so far, a row for each finished epoch, seconds spent."""

    step: int
    loss_sum: float
    correct: int
    curve: list[dict[str, Any]]
    seconds: float


def save_state(
    store: Store,
    run: Run,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    augmenter: torch.Generator,
    position: Position,
) -> None:
    """Keep the state under its step number, then drop the older ones."""
    moments = optimizer.state_dict()["state"]
    random = {"cpu": torch.get_rng_state(), "augmenter": augmenter.get_state()}
    if augmenter.device.type == "cuda":
        random["cuda"] = torch.cuda.get_rng_state(augmenter.device)
    files = {
        "model.safetensors": _pack(model.state_dict()),
        "optimizer.safetensors": _pack(
            {f"{i}.{name}": value for i, state in moments.items() for name, value in state.items()}
        ),
        "random.safetensors": _pack(random),
    }
    older = states(store, run)
    key = f"{run.folder}/step-{position['step']:010d}"
    store.write(key, files, dict(position))
    for old in older:
        if old != key:
            store.delete(old)


def states(store: Store, run: Run) -> list[str]:
    """The keys of the states that are kept, oldest first."""
    return [key for key in store.keys(run.folder) if key.rpartition("/")[2].startswith("step-")]


def drop_states(store: Store, run: Run) -> None:
    """Remove the states of a finished run; one may be left where a process was killed right after finishing it."""
    for key in states(store, run):
        store.delete(key)


def load_state(
    store: Store,
    run: Run,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    augmenter: torch.Generator,
    *,
    before: int,
) -> Position | None:
    """Put the newest undamaged state in place; None when there is none, and then nothing was changed.

    Args:
        before: no state of a later step, since weights are wanted as they were after this one.
    """
    for key in reversed(states(store, run)):
        artifact = store.read(key)
        if artifact is not None and artifact.meta["step"] <= before:
            _restore(artifact, model, optimizer, augmenter)
            return cast(Position, dict(artifact.meta))
    return None


def _restore(
    artifact: Artifact, model: nn.Module, optimizer: torch.optim.Optimizer, augmenter: torch.Generator
) -> None:
    model.load_state_dict(_unpack(artifact, "model.safetensors"))
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in _unpack(artifact, "optimizer.safetensors").items():
        index, _, field = name.partition(".")
        parameter = parameters[int(index)]
        if value.shape == parameter.shape:
            # In the parameter's memory layout: the fused optimizer pairs the elements by their place in memory.
            value = torch.empty_like(parameter).copy_(value)
        moments.setdefault(int(index), {})[field] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
    random = _unpack(artifact, "random.safetensors")
    torch.set_rng_state(random["cpu"])
    augmenter.set_state(random["augmenter"])
    if "cuda" in random:
        torch.cuda.set_rng_state(random["cuda"], augmenter.device)


def load_weights(store: Store, run: Run, model: nn.Module, epoch: int | None = None) -> None:
    """Put weights of a run into a network of the same shape: those after an epoch behind the warm-up, or the finished.

    Raises:
        HarnessError: the run has not come so far, or its weights do not fit the network.
    """
    artifact = store.read(run.weights_key(epoch))
    if artifact is None:
        raise HarnessError(f"no {'finished' if epoch is None else f'epoch {epoch}'} weights of {run} in {store.root}")
    try:
        model.load_state_dict(_unpack(artifact, "weights.safetensors"))
    except RuntimeError as error:
        raise HarnessError(
            f"the stored weights of {run} do not fit the network ({str(error).splitlines()[-1].strip()}); the model's "
            f"code has changed since: remove {artifact.path} to train it again"
        ) from error


def weights(model: nn.Module) -> bytes:
    """All parameters and buffers, as a safetensors file."""
    return _pack(model.state_dict())


def _pack(tensors: dict[str, Tensor]) -> bytes:
    # Cloned: safetensors refuses tensors that share memory, and views would write their whole storage.
    return save({name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()})


def _unpack(artifact: Artifact, name: str) -> dict[str, Tensor]:
    return load((artifact.path / name).read_bytes())
