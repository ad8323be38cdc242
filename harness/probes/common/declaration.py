"""How a probe is declared: its parameters and what its table holds, known without torch and before it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

UNIT = ("unit", "name", "kind", "stage", "depth", "height", "width")  # the columns that say of which unit a row is


# Parameters that say which draw of images, vectors, planes or noise it is: each seed has its own, the same for all
# networks of that seed, unless a profile names one. Else an interval over seeds holds for one draw alone.
DRAWS = ("seed", "start_seed", "direction_seed", "draw")


class Parameters(BaseModel):
    """The parameters of a probe; what a profile's `[probes.<name>]` may set.

    Attributes:
        later: those that came when tables were stored already. At its default such a one is no part of a request's
            identity, so that these tables are still found.
    """

    later: ClassVar[frozenset[str]] = frozenset()

    model_config = ConfigDict(extra="forbid", frozen=True)


class ImageParameters(Parameters):
    images: int | None = Field(default=None, ge=1, description="class-balanced share of the test set; none for all")
    draw: int = Field(default=0, description="which share of so many images")

    later = frozenset({"draw"})


class GroupedParameters(ImageParameters):
    groups: int = Field(default=32, ge=2, description="image groups kept apart for the bootstrap")


class TrainingParameters(Parameters):
    """Of probes of the loss that is trained on (paper A.2): on training images, augmented as the run's recipe says."""

    images: int | None = Field(
        default=None, ge=1, description="drawn from the training set, in several passes if need be; none for one pass"
    )
    batch_size: int = Field(default=96, ge=2)
    augment: bool = Field(default=True, description="false for the images as they are, with their bare labels")
    seed: int = Field(default=0, description="of the images and their augmentation")


FORWARD = 0.25  # a forward pass of an image, in what a training step takes for it


class ProbeKind(BaseModel):
    """What is known of a probe before it runs.

    Attributes:
        version: raised whenever the same request would give other numbers.
        split: whose images it is given: the test split's, or the augmented training split's with their soft targets.
        keys: columns that say what a row is about, the sample aside.
        values: columns that are measured; averaging over samples (weighted by `images`) keeps their meaning.
        counted: the keys over which, and over samples, a share is counted (a NEP, an accuracy); none where none is.
        told: parameters that tell one protocol from another; tables of a results folder have them as columns.
        sample: what one sample is; the replicate of the bootstrap when there is a single seed.
        pixels: whether it works on 8-bit pixels, and so takes how images were standardised, their numbers in the test
            split and where the published corrupted ones are.
        l2: whether it measures NLL + l2, and so takes the weight decay of the run.
        clocked: whether its numbers are times, which no two measurements have alike.
        ledger: whether it goes on where it was stopped, from a ledger of what it had found.
        work: what it takes for one image with these parameters, in what a training step does; for estimates of time.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    version: int
    parameters: type[Parameters]
    keys: tuple[str, ...]
    values: tuple[str, ...]
    sample: str
    counted: tuple[str, ...] | None = None
    told: tuple[str, ...] = ()
    split: Literal["train", "test"] = "test"
    pixels: bool = False
    l2: bool = False
    ledger: bool = False
    clocked: bool = False
    work: Callable[[Any], float] = lambda parameters: FORWARD

    @property
    def of_units(self) -> bool:
        """Whether it looks at the units of a network, and so needs one that `models.anatomy` knows."""
        return set(UNIT) <= set(self.keys)
