"""For sessions within the test process: imported before the first test, what a session needs.

pytester forgets what was imported in a session, and some of it cannot be imported twice.
"""

from __future__ import annotations

import importlib

import pandas as pd
import torch  # noqa: F401  cannot be imported twice

from harness.store.tables import to_parquet

for needed in (
    "harness.engine.execute",
    "harness.engine.local",
    "harness.report.figures.prediction",
    "harness.report.page",
    "harness.training.loop",  # with timm and torchvision, whose operators cannot be registered twice
    "matplotlib.backends.backend_svg",
    "multiprocessing.popen_forkserver",  # or every session had a server of its own to fork from
    "scipy.stats",
):
    importlib.import_module(needed)
to_parquet(pd.DataFrame())  # with what pandas imports for it
