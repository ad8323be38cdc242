"""What CIFAR-C is made of: its corruptions, their groups, and the numbers of their five severities.

Hendrycks & Dietterich (arXiv:1903.12261) publish the corruptions, their script for CIFAR-10-C the numbers for images of
32×32. Lengths are in pixels of such an image.
"""

from __future__ import annotations

SIDE = 32  # of the images that the numbers are meant for
SEVERITIES = (1, 2, 3, 4, 5)

GROUPS = {
    "gaussian_noise": "noise",
    "shot_noise": "noise",
    "impulse_noise": "noise",
    "defocus_blur": "blur",
    "glass_blur": "blur",
    "motion_blur": "blur",
    "zoom_blur": "blur",
    "snow": "weather",
    "frost": "weather",
    "fog": "weather",
    "brightness": "weather",
    "contrast": "digital",
    "elastic_transform": "digital",
    "pixelate": "digital",
    "jpeg_compression": "digital",
    "speckle_noise": "noise",
    "gaussian_blur": "blur",
    "spatter": "weather",
    "saturate": "digital",
}
CORRUPTIONS = tuple(GROUPS)[:15]  # those of the benchmark
EXTRA = tuple(GROUPS)[15:]  # made to choose hyperparameters on

# What each number is, and then a tuple of them for each severity.
CONSTANTS: dict[str, tuple[tuple[float, ...], ...]] = {
    # standard deviation
    "gaussian_noise": ((0.04,), (0.06,), (0.08,), (0.09,), (0.10,)),
    # photons at full brightness
    "shot_noise": ((500,), (250,), (100,), (75,), (50,)),
    # share of the values
    "impulse_noise": ((0.01,), (0.02,), (0.03,), (0.05,), (0.07,)),
    # radius of the disk, standard deviation that smooths its rim
    "defocus_blur": ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
    # standard deviation, largest shift, iterations
    "glass_blur": ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
    # radius, standard deviation
    "motion_blur": ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)),
    # how many factors 1, 1.01, 1.02, ...
    "zoom_blur": ((7,), (12,), (16,), (21,), (26,)),
    # mean, standard deviation, zoom, threshold, radius and standard deviation of the motion, weight of the image
    "snow": (
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    ),
    # weights of image and frost
    "frost": ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)),
    # strength, decay
    "fog": ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)),
    # what is added to the value
    "brightness": ((0.05,), (0.1,), (0.15,), (0.2,), (0.3,)),
    # what is left of it
    "contrast": ((0.75,), (0.5,), (0.4,), (0.3,), (0.15,)),
    # largest displacement and its standard deviation, largest shift of a corner
    "elastic_transform": ((0, 0, 2.56), (1.6, 6.4, 2.24), (2.56, 1.92, 1.92), (3.2, 1.28, 1.6), (3.2, 0.96, 0.96)),
    # share of the side
    "pixelate": ((0.95,), (0.9,), (0.85,), (0.75,), (0.65,)),
    # quality
    "jpeg_compression": ((80,), (65,), (58,), (50,), (40,)),
    # standard deviation at full brightness
    "speckle_noise": ((0.06,), (0.1,), (0.12,), (0.16,), (0.2,)),
    # standard deviation
    "gaussian_blur": ((0.4,), (0.6,), (0.7,), (0.8,), (1,)),
    # mean, standard deviation and smoothing of the liquid, threshold, strength, whether it is mud
    "spatter": (
        (0.62, 0.1, 0.7, 0.7, 0.5, 0),
        (0.65, 0.1, 0.8, 0.7, 0.5, 0),
        (0.65, 0.3, 1, 0.69, 0.5, 0),
        (0.65, 0.1, 0.7, 0.69, 0.6, 1),
        (0.65, 0.1, 0.5, 0.68, 0.6, 1),
    ),
    # factor, addition
    "saturate": ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)),
}
