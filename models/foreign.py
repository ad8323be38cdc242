"""Networks from elsewhere: any of timm by `timm/<name>`, and a person's own by `subject/package.module:factory` or
`subject/path/to/file.py:factory`.
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from models._timm import timm, uncached
from models.errors import BadImageSize, BadOption, ModelError, UnknownModel, UnknownOverride, nearest
from models.subject import file_of, importable, load_factory, short, told
from models.units.survey import undisturbed


class NoWeights(ModelError):
    """Pretrained weights are neither in the cache nor to be had."""


def from_timm(
    name: str, *, num_classes: int, image_size: int, in_chans: int, pretrained: bool = False, **overrides: Any
) -> nn.Module:
    """Timm's network of that name; `pretrained` takes its weights from timm's cache or the network.

    `overrides` are arguments of timm's class. Raises UnknownModel, UnknownOverride, NoWeights, or BadOption where timm
    cannot build it for this image size.
    """
    if not _timm_has(name):
        known = timm.list_models(pretrained="." in name)  # behind the dot stands the tag of weights
        alike = [other for other in known if other[:4] == name[:4]]  # of the same family, before a chance likeness
        close = difflib.get_close_matches(name, alike or known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(map(repr, close))}?" if close else "timm.list_models() has all"
        raise UnknownModel(f"timm {timm.__version__} has no model {name!r}; {hint}")
    options = {"num_classes": num_classes, "in_chans": in_chans, "img_size": image_size, **overrides}
    try:
        model = uncached(_create(name, pretrained, options))
    except TypeError as error:
        unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if not unknown:
            raise
        raise UnknownOverride(f"timm's {name} has no option {unknown[1]!r}; see timm.create_model({name!r})") from error
    except (AssertionError, ValueError, RuntimeError, OSError) as error:
        first = str(error).strip().split("\n")[0]
        if pretrained:
            raise NoWeights(f"no pretrained weights for {name}: {first}; download them, or pretrained=False") from error
        raise BadOption(f"timm cannot build {name} for {image_size} px with {overrides}: {first}") from error
    return tried(model, f"timm's {name}", (in_chans, image_size, image_size), num_classes)


def _timm_has(name: str) -> bool:
    """Whether it is a model of timm's, with a tag that it has if it comes with one."""
    from timm.models import get_pretrained_cfg

    with_tag = "." in name
    try:
        return timm.is_model(name) and (not with_tag or bool(get_pretrained_cfg(name, allow_unregistered=False)))
    except RuntimeError:  # "Invalid pretrained tag"
        return False


def _create(name: str, pretrained: bool, options: dict[str, Any]) -> nn.Module:
    try:
        return timm.create_model(name, pretrained=pretrained, **options)
    except TypeError as error:
        if "'img_size'" not in str(error):
            raise
    # A convolutional network takes any size, and no argument for it.
    return timm.create_model(name, pretrained=pretrained, **{k: v for k, v in options.items() if k != "img_size"})


def from_subject(target: str, *, num_classes: int, image_size: int, in_chans: int, **overrides: Any) -> nn.Module:
    """What a person's factory returns, called with num_classes and image_size, and in_chans if it takes that.

    Raises UnknownModel where there is no such factory, UnknownOverride for an option it does not take, BadOption where
    it fails or returns no network.
    """
    with importable(target):
        return _from_factory(
            load_factory(target), target, num_classes=num_classes, image_size=image_size, in_chans=in_chans, **overrides
        )


def _from_factory(
    factory: Callable[..., Any], target: str, *, num_classes: int, image_size: int, in_chans: int, **overrides: Any
) -> nn.Module:
    file, target = file_of(target), short(target)
    options = {"num_classes": num_classes, "image_size": image_size, **overrides}
    known = inspect.signature(factory).parameters
    if "in_chans" in known:
        options["in_chans"] = in_chans
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        for option in options:
            if option not in known:
                raise UnknownOverride(f"{target} takes no {option!r}: {nearest(option, known)}")
    try:
        model = factory(**options)
    except ModelError:
        raise
    except Exception as error:  # a person's factory may raise anything
        shown = ", ".join(f"{key}={value!r}" for key, value in options.items())
        raise BadOption(f"{target}({shown}) fails: {told(error, file)}") from error
    if not isinstance(model, nn.Module):
        raise BadOption(f"{target} returned {type(model).__name__}, not a torch.nn.Module")
    return tried(model, target, (in_chans, image_size, image_size), num_classes)


@torch.no_grad()
def tried(model: nn.Module, name: str, shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    """The network, after one image went through it: what this package did not build may take other images only.

    Raises BadImageSize where it fails, BadOption where something else than logits [1, num_classes] comes out.
    """
    parameter = next(model.parameters(), torch.empty(0))
    with undisturbed(model):
        try:
            logits = model(torch.zeros(1, *shape, dtype=parameter.dtype, device=parameter.device))
        except Exception as error:
            first = str(error).strip().split("\n")[0]
            raise BadImageSize(f"{name} fails on images of {'x'.join(map(str, shape))}: {first}") from error
    if not isinstance(logits, torch.Tensor) or logits.shape != (1, num_classes):
        found = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise BadOption(f"{name} returns {found} for one image, expected logits of shape (1, {num_classes})")
    return model
