"""Trains, measures, judges and reports the claims of *How Do Vision Transformers Work?* (Park & Kim, ICLR 2022)."""

__version__ = "0.1.0"

from pathlib import Path

import models

if Path(models.__file__ or "").resolve().parent.parent != Path(__file__).resolve().parent.parent:
    raise ImportError(
        f"`import models` finds {models.__file__ or list(models.__path__)}, not this project's: a package of that name "
        "in the current folder comes first; start Python from another folder or with -P, or rename it"
    )
