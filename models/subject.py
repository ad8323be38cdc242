"""A person's own network by name: `package.module:factory`, or `path/to/file.py:factory` for a file in no package.

Nothing here imports torch.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from models.errors import UnknownModel

EXPECTED = "package.module:factory or path/to/file.py:factory"


def parse(target: str) -> tuple[str, str]:
    """Module or file, and the name of the factory in it.

    Raises UnknownModel where the target has neither form.
    """
    where, _, factory = target.rpartition(":")
    named = where.endswith(".py") or all(part.isidentifier() for part in where.split("."))
    if not (named and factory.isidentifier()):
        raise UnknownModel(f"{target!r} is not of the form {EXPECTED}")
    return where, factory


def file_of(target: str) -> Path | None:
    """The file of `path/to/file.py:factory`; None for a factory in a module."""
    where, _ = parse(target)
    return Path(where).absolute() if where.endswith(".py") else None


def short(target: str) -> str:
    """The target as people and run ids know it: a file without its folder, which is another on every machine."""
    where, colon, factory = target.rpartition(":")
    return f"{Path(where).name}{colon}{factory}" if where.endswith(".py") else target


@contextmanager
def importable(target: str) -> Iterator[None]:
    """A file's own folder first on the path, as when Python runs the file; it does not stay there, where a `models` of
    a person's own would hide this package from worker processes.
    """
    file = file_of(target)
    if file is None:
        yield
        return
    sys.path.insert(0, str(file.parent))
    try:
        yield
    finally:
        sys.path.remove(str(file.parent))


def load_factory(target: str) -> Callable[..., Any]:
    """The factory itself; what it stands in is run the first time.

    Raises UnknownModel: there is no such file, module or factory, or it fails when it is imported.
    """
    where, factory = parse(target)
    file = file_of(target)
    try:
        module = importlib.import_module(where) if file is None else _load(file)
    except ModuleNotFoundError as error:
        raise UnknownModel(f"{short(target)}: {error}; {_where_to_look(error.name or '')}") from error
    except Exception as error:  # a person's module may raise anything
        raise UnknownModel(f"{short(target)} cannot be imported: {told(error, file)}") from error
    if not callable(found := getattr(module, factory, None)):
        raise UnknownModel(f"{short(target)}: {module.__file__} has no function {factory!r}")
    return found


def _load(file: Path) -> ModuleType:
    """A file as a module of a private name, so that it hides no other module, nor any other it."""
    name = f"_subject_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _where_to_look(module: str) -> str:
    head = module.partition(".")[0]
    if head != module and head in ("claims", "harness", "models"):
        return f"{head!r} is a package of this project, which hides yours of that name: rename yours"
    return "is the folder that holds it on the path?"


def told(error: Exception, file: Path | None) -> str:
    """An exception of a person's code on one line, with the place where it left their file, or else arose."""
    frames = traceback.extract_tb(error.__traceback__)
    frame = ([each for each in frames if each.filename == str(file)] or frames)[-1]
    first = str(error).strip().split("\n")[0]
    place = "" if isinstance(error, SyntaxError) else f" ({Path(frame.filename).name}, line {frame.lineno})"
    return f"{type(error).__name__}: {first}{place}"
