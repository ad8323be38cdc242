"""Noise in one band of frequencies: which frequencies a network leans on (paper section 3, Fig 2b).

White Gaussian noise, of a standard deviation of `amplitude` in units of the standardised image, is cut to the band of
width `window` around f in the frequency plane and added to the image; f and the width are in units of π:

    x + F⁻¹(F(δ) · mask),   mask = 1 where f - window / 2 ≤ |ω| < f + window / 2

with |ω| the larger of the two axes' frequencies ("square", as in the authors' code) or their Euclidean norm
("circular"). The mask is symmetric in ω and -ω, so what is added is real. Its expected energy per pixel is amplitude²
times the share of the plane that the mask keeps, and grows with f: networks are to be compared at one frequency.

The paper states neither the amplitude nor whether 0.1π is the whole width of the window; here it is the whole width,
so that the bands f = 0.1, 0.2, ... touch. An image too small to have a frequency in the band gets the nearest ring of
frequencies but zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from harness.probes.common import without_gradients
from harness.probes.common.declaration import FORWARD, GroupedParameters, ProbeKind

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn

FREQUENCIES = tuple(tenth / 10 for tenth in range(1, 10))
HALVES = ("even", "odd")
BATCH = 250  # the noise of an image depends on its place in such a batch, not on how the images come
EDGE = 1e-9  # frequencies are fractions; a bin on the border of two bands belongs to the upper one


class NoiseParameters(GroupedParameters):
    amplitudes: tuple[float, ...] = Field(
        default=(0.25, 0.5, 1.0, 2.0), min_length=1, description="standard deviations of the white noise"
    )
    window: float = Field(default=0.1, gt=0, description="whole width of a band, in π")
    shape: Literal["square", "circular"] = "square"
    seed: int = 0
    half: Literal["both", "even", "odd"] = Field(
        default="both", description="images with such a number: an amplitude is chosen on others than it is judged on"
    )

    later = frozenset({"draw", "half"})


KIND = ProbeKind(
    name="noise",
    version=1,
    parameters=NoiseParameters,
    keys=("frequency", "amplitude", "share"),
    values=("accuracy", "delta_accuracy"),
    sample="image group",
    told=("shape", "half"),
    work=lambda p: FORWARD * (1 + len(p.amplitudes) / p.window),
)


def band(height: int, width: int, frequency: float, *, window: float = 0.1, shape: str = "square") -> Tensor:
    """The mask of a band over the half plane of `torch.fft.rfft2`.

    Args:
        height: of the image, any; so is `width`.
        frequency: the middle of the band, in π.
        window: its whole width, in π.
        shape: "square" or "circular".

    Returns:
        bool [height, width // 2 + 1].
    """
    import torch

    rows = 2 * torch.fft.fftfreq(height, dtype=torch.float64).abs()[:, None]
    columns = 2 * torch.fft.rfftfreq(width, dtype=torch.float64)
    radius = torch.maximum(rows, columns) if shape == "square" else torch.hypot(rows, columns)
    inside = (radius >= frequency - window / 2 - EDGE) & (radius < frequency + window / 2 - EDGE) & (radius > 0)
    if inside.any():
        return inside
    distance = (radius - frequency).abs().where(radius > 0, torch.inf)
    return distance <= distance.min() + EDGE


def share(mask: Tensor, width: int) -> float:
    """How much of the frequency plane the mask of a half plane keeps; `width` is the image's."""
    import torch

    twice = torch.full((mask.shape[1],), 2.0)  # a column and its mirror image
    twice[0] = 1.0
    if width % 2 == 0:
        twice[-1] = 1.0
    return (mask * twice).sum().item() / (mask.shape[0] * width)


def band_noise(white: Tensor, mask: Tensor) -> Tensor:
    """White noise [..., height, width] cut to a band; real, and of the same shape."""
    import torch

    return torch.fft.irfft2(torch.fft.rfft2(white) * mask, s=white.shape[-2:])


@without_gradients
def noise(
    model: nn.Module,
    images: Iterable[tuple[Tensor, Tensor]],
    *,
    amplitudes: Sequence[float] = (0.25, 0.5, 1.0, 2.0),
    window: float = 0.1,
    shape: Literal["square", "circular"] = "square",
    seed: int = 0,
    half: Literal["both", "even", "odd"] = "both",
    groups: int = 32,
) -> pd.DataFrame:
    """Change of accuracy under noise of each frequency band and amplitude, in evaluation mode.

    The noise depends on the seed and the number of the image alone: it is the same for every network and however the
    images are cut into batches.

    Args:
        model: gives logits [batch, class].
        images: batches of (standardised images [batch, channel, height, width], labels [batch]), on the model's
            device; any size and number of channels.
        amplitudes: standard deviations of the white noise, before the band is cut from it.
        half: only the images with an even number, or an odd one, counted from 0.
        groups: the images are dealt into so many groups that are kept apart, for intervals over images.

    Returns:
        A row a frequency, amplitude and group: frequency (in π), amplitude, share (of the frequency plane that lies in
        the band: amplitude² · share is the energy added per pixel), sample (the group), images (in the group),
        accuracy (in per cent), delta_accuracy (accuracy with noise minus that without, in percentage points).
    """
    import pandas as pd
    import torch

    from harness.probes.common.images import in_batches_of, labelled_batches

    model.eval()
    bands: list[tuple[float, Tensor]] = []
    counts = torch.zeros(groups, dtype=torch.long)
    correct = torch.zeros(1 + len(FREQUENCIES) * len(amplitudes), groups, dtype=torch.long)  # first: without noise
    seen, width = 0, 0
    for number, (batch, labels) in enumerate(in_batches_of(BATCH, labelled_batches(images))):
        if not bands:
            height, width = batch.shape[-2:]
            bands = [(f, band(height, width, f, window=window, shape=shape).to(batch.device)) for f in FREQUENCIES]
        generator = torch.Generator().manual_seed(seed * 1_000_003 + number)
        white = torch.randn(batch.shape, generator=generator).to(batch.device)  # of the CPU: the same on every device
        if half != "both":  # BATCH is even: numbers within a batch do
            batch, labels, white = (each[HALVES.index(half) :: 2] for each in (batch, labels, white))
        right = [model(batch).argmax(1) == labels]
        for _, mask in bands:
            added = band_noise(white, mask)
            right += [model(batch + amplitude * added).argmax(1) == labels for amplitude in amplitudes]
        group = torch.arange(seen, seen + len(batch)) % groups
        counts += group.bincount(minlength=groups)
        correct.index_add_(1, group, torch.stack(right).long().cpu())
        seen += len(batch)
    accuracy = 100 * correct.double() / counts
    rows = [
        (frequency, amplitude, share(mask.cpu(), width), sample, count, noisy, noisy - accuracy[0, sample].item())
        for place, (frequency, mask) in enumerate(bands)
        for step, amplitude in enumerate(amplitudes)
        for sample, count in enumerate(counts.tolist())
        if count
        for noisy in [accuracy[1 + place * len(amplitudes) + step, sample].item()]
    ]
    columns = ["frequency", "amplitude", "share", "sample", "images", "accuracy", "delta_accuracy"]
    return pd.DataFrame(rows, columns=columns)
