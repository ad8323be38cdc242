"""What there is to measure: the probes and their parameters, known without torch."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Parameters(BaseModel):
    """The parameters of a probe; what a profile's `[probes.<name>]` may set."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ImageParameters(Parameters):
    images: int | None = Field(default=None, ge=1, description="class-balanced share of the test set; none for all")


class GroupedParameters(ImageParameters):
    groups: int = Field(default=32, ge=2, description="image groups kept apart for the bootstrap")


class SimilarityParameters(GroupedParameters):
    minibatch: int = Field(default=100, ge=4, description="images among which similarities are compared at a time")


class NoiseParameters(GroupedParameters):
    amplitudes: tuple[float, ...] = Field(
        default=(0.25, 0.5, 1.0, 2.0), min_length=1, description="standard deviations of the white noise"
    )
    window: float = Field(default=0.1, gt=0, description="whole width of a band, in π")
    shape: Literal["square", "circular"] = "square"
    seed: int = 0


class TrainingParameters(Parameters):
    """Of probes of the loss that is trained on (paper A.2): on training images, augmented as the run's recipe says."""

    images: int | None = Field(
        default=None, ge=1, description="drawn from the training set, in several passes if need be; none for one pass"
    )
    batch_size: int = Field(default=96, ge=2)
    augment: bool = Field(default=True, description="false for the images as they are, with their bare labels")
    seed: int = 0


class FitParameters(TrainingParameters):
    groups: int = Field(default=32, ge=2, description="image groups kept apart for the bootstrap")


class HessianParameters(TrainingParameters):
    images: int | None = Field(default=1024, ge=1, description="as many mini-batches as they fill; none for one pass")
    batch_size: int = Field(default=16, ge=2)
    top: int = Field(default=5, ge=1, description="eigenvalues of each mini-batch, by magnitude")
    convention: Literal["lanczos", "official"] = "lanczos"


class LandscapeParameters(TrainingParameters):
    points: int = Field(default=21, ge=3, description="along each side of the grid; odd")
    radius: float = Field(default=1.0, gt=0, description="of the grid, in lengths of the weights")
    directions: int = Field(default=3, ge=1, description="planes, each with two random directions")
    normalisation: Literal["filter", "official"] = "filter"


class ProbeKind(BaseModel):
    """What is known of a probe before it runs.

    Attributes:
        version: raised whenever the same request would give other numbers.
        split: whose images it is given: the test split's, or the augmented training split's with their soft targets.
        keys: columns that say what a row is about, the sample aside.
        values: columns that are measured; averaging over samples (weighted by `images`) keeps their meaning.
        counted: the keys over which, and over samples, a share is counted (a NEP, an accuracy); none where none is.
        sample: what one sample is; the replicate of the bootstrap when there is a single seed.
        l2: whether it measures NLL + l2, and so takes the weight decay of the run.
        ledger: whether it goes on where it was stopped, from a ledger of what it had found.
        anatomy: whether it looks at the units of a network, and so needs one that `models.anatomy` knows.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    version: int
    parameters: type[Parameters]
    keys: tuple[str, ...]
    values: tuple[str, ...]
    sample: str
    counted: tuple[str, ...] | None = None
    split: Literal["train", "test"] = "test"
    l2: bool = False
    ledger: bool = False
    anatomy: bool = False


UNIT = ("unit", "name", "kind", "stage", "depth", "height", "width")

PROBES = {
    kind.name: kind
    for kind in (
        ProbeKind(
            name="prediction",
            version=1,
            parameters=ImageParameters,
            keys=(),
            values=("correct", "nll"),
            sample="image",
            counted=(),
        ),
        ProbeKind(
            name="fourier",
            version=1,
            parameters=GroupedParameters,
            keys=(*UNIT, "frequency", "label"),
            values=("delta_log_amplitude",),
            sample="image group",
            anatomy=True,
        ),
        ProbeKind(
            name="variance",
            version=1,
            parameters=GroupedParameters,
            keys=UNIT,
            values=("variance",),
            sample="image group",
            anatomy=True,
        ),
        ProbeKind(
            name="lesion",
            version=1,
            parameters=GroupedParameters,
            keys=(*UNIT, "part"),
            values=("accuracy", "delta_accuracy"),
            sample="image group",
            anatomy=True,
        ),
        ProbeKind(
            name="similarity",
            version=1,
            parameters=SimilarityParameters,
            keys=(*UNIT, "other"),
            values=("hsic",),
            sample="mini-batch group",
            anatomy=True,
        ),
        ProbeKind(
            name="noise",
            version=1,
            parameters=NoiseParameters,
            keys=("frequency", "amplitude", "share"),
            values=("accuracy", "delta_accuracy"),
            sample="image group",
        ),
        ProbeKind(
            name="fit",
            version=1,
            parameters=FitParameters,
            keys=(),
            values=("nll",),
            sample="image group",
            split="train",
        ),
        ProbeKind(
            name="hessian",
            version=1,
            parameters=HessianParameters,
            keys=("l2", "rank"),
            values=("eigenvalue", "negative", "positive", "positive_part"),
            sample="mini-batch",
            counted=("rank",),
            split="train",
            l2=True,
        ),
        ProbeKind(
            name="landscape",
            version=1,
            parameters=LandscapeParameters,
            keys=("x", "y"),
            values=("nll", "l2", "l2_norms"),
            sample="plane",
            split="train",
            l2=True,
            ledger=True,
        ),
    )
}
