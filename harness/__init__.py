"""Trains, measures, judges and reports the claims of *How Do Vision Transformers Work?* (Park & Kim, ICLR 2022)."""

__version__ = "0.1.0"

import sys
from importlib.util import find_spec
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_found = find_spec("models")
if "models" not in sys.modules and _found and str(_ROOT / "models") not in (_found.submodule_search_locations or ()):
    sys.path.insert(0, str(_ROOT))  # a person's `models` in the current folder comes first: here it is this project's
