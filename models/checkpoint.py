"""Load weights from a file: ours, timm's, or one of the four that the paper's authors released (.pth.tar, CIFAR-100).

Nothing is unpickled but tensors and plain containers.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.errors import ModelError

State = dict[str, Tensor]


class BadCheckpoint(ModelError):
    """The file cannot be read safely, or does not fit the network."""


def load_checkpoint(model: nn.Module, path: str | Path) -> nn.Module:
    """Fill `model` with the weights of a .safetensors file or of a torch file ({"state_dict": ...} or the dict itself).

    Names are taken as they are or, where they do not fit, translated from the authors' ResNet or from older timm.
    Raises BadCheckpoint: no such file, a file with more in it than tensors, or weights of another network.
    """
    state = {re.sub(r"^(module\.|_orig_mod\.)+", "", name): value for name, value in _read(Path(path)).items()}
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    for translate in (_as_they_are, _authors_resnet, _older_pit, _timms_own):
        translated = translate(state, model)
        if {name: tuple(value.shape) for name, value in translated.items()} == wanted:
            model.load_state_dict(translated)
            return model
    missing, surplus = sorted(wanted.keys() - state.keys()), sorted(state.keys() - wanted.keys())
    shapes = [name for name in wanted.keys() & state.keys() if tuple(state[name].shape) != wanted[name]]
    different = "; ".join(
        f"{len(names)} {what} ({', '.join(sorted(names)[:3])})"
        for what, names in (("missing", missing), ("unknown", surplus), ("of another shape", shapes))
        if names
    )
    raise BadCheckpoint(f"{path} does not fit {type(model).__name__}: {different}; check name, num_classes, image_size")


def _read(path: Path) -> State:
    content: Any
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            content = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise BadCheckpoint(f"no checkpoint at {path}") from error
    except Exception as error:  # a damaged file can end in any error of the two readers
        first = str(error).strip().split("\n")[0]
        raise BadCheckpoint(f"{path} holds more than tensors, or is damaged, and is not loaded: {first}") from error
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise BadCheckpoint(f"{path} holds no state_dict: expected names and tensors")
    return content


def _rename(state: State, *rules: tuple[str, str | Callable[[re.Match], str]]) -> State:
    renamed = {}
    for name, value in state.items():
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        renamed[name] = value
    return renamed


def _as_they_are(state: State, model: nn.Module) -> State:
    return state


def _authors_resnet(state: State, model: nn.Module) -> State:
    """Theirs numbers what timm names: the stem is layer0, convK holds convolution (0) and BatchNorm (1)."""
    return _rename(
        state,
        (r"^layer0\.0\.", "conv1."),
        (r"^layer0\.1\.", "bn1."),
        (r"\.conv(\d)\.0\.", r".conv\1."),
        (r"\.conv(\d)\.1\.", r".bn\1."),
        (r"\.shortcut\.", ".downsample."),
        (r"^classifier\.0\.dense\.", "fc."),
    )


def _older_pit(state: State, model: nn.Module) -> State:
    """Timm 0.5 pooled at the end of a stage, timm 1 pools at the beginning of the next."""
    return _rename(state, (r"^transformers\.(\d+)\.pool\.", lambda m: f"transformers.{int(m[1]) + 1}.pool."))


def _timms_own(state: State, model: nn.Module) -> State:
    """What timm does itself with older files of this class (Swin: merging moved, masks are no longer stored)."""
    translate = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    try:
        return state if translate is None else translate(dict(state), model)
    except (AttributeError, KeyError, RuntimeError):  # a file of quite another network
        return state
