"""How far the corruptions move real photographs: mean |change| in 8-bit levels, beside that of 100 lossless ones.

The table is of a slow reference of its own, on 100 training images of CIFAR-10. Which 100 is not known, and it matters:
the other side's error is that of a mean over so few. A copy that was stored as JPEG moves less under JPEG.

    REPRO_DATA=... pytest harness/tests/test_corruption_change.py
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from harness.corruptions import CORRUPTIONS, EXTRA, corrupt
from harness.data import load_dataset
from harness.errors import HarnessError
from harness.store import Store

COUNT, THEIRS = 500, 100  # images
ERRORS = 3  # standard errors
CHANGES = {
    "gaussian_noise": (8.03, 11.97, 15.82, 17.68, 19.60),
    "shot_noise": (5.78, 8.14, 12.77, 14.71, 17.91),
    "impulse_noise": (1.31, 2.54, 3.80, 6.40, 8.92),
    "defocus_blur": (1.47, 3.58, 5.40, 7.04, 10.04),
    "glass_blur": (11.80, 11.91, 11.65, 18.91, 18.13),
    "motion_blur": (7.44, 10.57, 13.82, 13.63, 16.07),
    "zoom_blur": (9.13, 10.78, 12.84, 14.95, 16.95),
    "snow": (10.80, 23.70, 25.14, 36.99, 53.20),
    "frost": (30.90, 45.21, 52.65, 45.93, 45.32),
    "fog": (10.35, 21.22, 27.26, 31.92, 37.59),
    "brightness": (10.02, 20.30, 30.18, 39.62, 56.82),
    "contrast": (10.23, 20.47, 24.57, 28.67, 34.81),
    "elastic_transform": (22.67, 20.73, 18.77, 17.41, 14.50),
    "pixelate": (1.86, 3.57, 4.36, 6.61, 9.21),
    "jpeg_compression": (5.69, 7.05, 7.52, 8.00, 8.62),
    "speckle_noise": (5.40, 8.88, 10.62, 14.03, 17.37),
    "gaussian_blur": (1.41, 5.27, 6.73, 7.97, 10.10),
    "spatter": (1.05, 2.84, 6.87, 2.81, 4.69),
    "saturate": (12.68, 16.37, 8.59, 20.45, 28.95),
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Training images of CIFAR-10, uint8, and whether they were stored with loss."""
    folder = os.environ.get("REPRO_DATA")
    try:
        data = load_dataset(
            "cifar10", Store(tmp_path_factory.mktemp("store")), data_root=Path(folder) if folder else None, offline=True
        )
    except HarnessError as error:
        pytest.skip(str(error))
    return torch.tensor(data.train.images[:COUNT]), "JPEG" in data.title


@pytest.mark.parametrize("name", CORRUPTIONS + EXTRA)
def test_real_photographs_change_as_much_as_they_should(photos, name):
    images, lossy = photos
    if lossy and name == "jpeg_compression":
        pytest.skip("these photographs were stored as JPEG: compressed again they change less")
    for severity, expected in enumerate(CHANGES[name], start=1):
        change = (corrupt(images, name, severity).float() - images.float()).abs().mean((1, 2, 3))
        error = change.std() * (1 / COUNT + 1 / THEIRS) ** 0.5
        assert change.mean().item() == pytest.approx(expected, abs=ERRORS * error.item()), severity
