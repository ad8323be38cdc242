"""How a network is trained, as plain data."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from harness.errors import HarnessError, nearest

RECIPES = Path(__file__).with_name("recipes.toml")
NO_AUGMENTATION: dict[str, Any] = {
    "label_smoothing": 0.0,
    "crop_padding": 0,
    "flip": False,
    "rand_augment": "none",
    "mixup": 0.0,
    "cutmix": 0.0,
    "erasing": 0.0,
}


class Recipe(BaseModel):
    """The training of a run. The defaults are the paper's on CIFAR (A.1 and the official configuration).

    AdamW decays every parameter, norms and biases included; the rate rises linearly from 0 over the warm-up epochs,
    step by step, then follows a cosine to 0, epoch by epoch.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(default=300, ge=0, description="after the warm-up, which comes on top")
    warmup_epochs: int = Field(default=5, ge=0)
    batch_size: int = Field(default=96, ge=1)
    optimizer: Literal["adamw", "sgd"] = Field(default="adamw", description="sgd has momentum 0.9")
    learning_rate: float = Field(default=1.25e-4, gt=0)
    milestones: tuple[int, ...] = Field(default=(), description="epochs that divide the rate by 5; none: cosine")
    weight_decay: float = Field(default=5e-2, ge=0)
    clip_norm: float = Field(default=5.0, ge=0, description="global gradient norm; 0 for no clipping")
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    stochastic_depth: float = Field(default=0.1, ge=0, lt=1, description="of the last block, linear in depth")
    crop_padding: int = Field(default=4, ge=0, description="pixels of zero around the image; 0 for no crop")
    flip: bool = Field(default=True, description="mirror half of the images")
    rand_augment: str = Field(default="rand-m9-n2-mstd1.0", description='in timm\'s notation, or "none"')
    mixup: float = Field(default=1.0, ge=0, description="alpha of mixup; 0 together with cutmix for neither")
    cutmix: float = Field(default=0.8, ge=0, description="alpha of CutMix")
    erasing: float = Field(default=0.0, ge=0, le=1, description="probability of random erasing")
    precision: Literal["fp32", "bf16"] = Field(default="fp32", description="of the forward pass in training")

    @field_validator("rand_augment")
    @classmethod
    def _is_rand_augment(cls, text: str) -> str:
        if text != "none" and _parse(text) is None:
            raise ValueError(f'{text!r} is not of the form rand-m9-n2-mstd1.0, nor "none"')
        return text

    @model_validator(mode="after")
    def _both_or_neither(self) -> Recipe:
        if bool(self.mixup) != bool(self.cutmix):
            raise ValueError(
                f"mixup = {self.mixup} and cutmix = {self.cutmix}: a batch draws one of them; set both or neither"
            )
        return self

    @property
    def total_epochs(self) -> int:
        return self.warmup_epochs + self.epochs

    @property
    def without_augmentation(self) -> Recipe:
        """The same training on the images as they are, with their bare labels."""
        return self.augmented_as(NO_AUGMENTATION)

    @property
    def augmentation(self) -> dict[str, Any]:
        """What becomes of an image and its label before the network sees them."""
        return {name: getattr(self, name) for name in NO_AUGMENTATION}

    def augmented_as(self, augmentation: dict[str, Any]) -> Recipe:
        """The same training on images that become of another recipe's `augmentation`."""
        return self.model_copy(update=augmentation)

    @property
    def randomly_augmented(self) -> dict[str, Any] | None:
        """The arguments of `rand_augment`; None for none."""
        return _parse(self.rand_augment)


def _parse(text: str) -> dict[str, Any] | None:
    match = re.fullmatch(r"rand-m(\d+)-n(\d+)-mstd(\d+(?:\.\d+)?)", text)
    if match is None:
        return None
    return {"magnitude": float(match[1]), "count": int(match[2]), "magnitude_std": float(match[3])}


@cache
def _recipes() -> dict[str, dict[str, Any]]:
    return tomllib.loads(RECIPES.read_text(encoding="utf-8"))


def recipe_from(changes: dict[str, Any]) -> dict[str, Any]:
    """The named recipe in `base` (by default the paper's) with these changes.

    Raises:
        HarnessError: no such recipe.
    """
    base = changes.get("base", "paper")
    if base not in _recipes():
        raise HarnessError(f"no recipe {base!r}; {nearest(base, _recipes())}")
    return {**_recipes()[base], **{key: value for key, value in changes.items() if key != "base"}}


PAPER = Recipe()
