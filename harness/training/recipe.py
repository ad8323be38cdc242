"""How a network is trained, as plain data."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Recipe(BaseModel):
    """The training of a run. The defaults are the paper's on CIFAR (A.1 and the official configuration).

    AdamW decays every parameter, norms and biases included; the rate rises linearly from 0 over the warm-up epochs,
    step by step, then follows a cosine to 0, epoch by epoch.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(default=300, ge=0, description="after the warm-up, which comes on top")
    warmup_epochs: int = Field(default=5, ge=0)
    batch_size: int = Field(default=96, ge=1)
    learning_rate: float = Field(default=1.25e-4, gt=0)
    weight_decay: float = Field(default=5e-2, ge=0)
    clip_norm: float | None = Field(default=5.0, gt=0, description="global gradient norm; none for no clipping")
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    stochastic_depth: float = Field(default=0.1, ge=0, lt=1, description="of the last block, linear in depth")
    crop_padding: int = Field(default=4, ge=0, description="pixels of zero around the image; 0 for no crop")
    flip: bool = Field(default=True, description="mirror half of the images")

    @property
    def total_epochs(self) -> int:
        return self.warmup_epochs + self.epochs


PAPER = Recipe()
# What the paper's recipe has on top of the fields above and this package does not do.
PAPER_ONLY = ("RandAugment", "mixup and CutMix")
