"""A person's own network by name: `package.module:factory`, or `path/to/file.py:factory` for a file in no package.

Nothing here imports torch.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from models.errors import UnknownModel

EXPECTED = "package.module:factory or path/to/file.py:factory"
OURS = ("claims", "harness", "models")
PROJECT = Path(__file__).resolve().parents[1]
NOT_THEIRS = (
    *(PROJECT / name for name in OURS),
    *(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")),
)
_loaded: dict[Path, dict[str, ModuleType]] = {}  # folder of a file -> what its code imported from there


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


def is_own(path: Path) -> bool:
    """Whether a file is a person's own: neither this project's, nor Python's, nor installed."""
    if {"site-packages", "dist-packages"} & set(path.parts):
        return False
    return not any(path.is_relative_to(place) for place in NOT_THEIRS)


@contextmanager
def importable(target: str) -> Iterator[None]:
    """A file's own folder first on the path, as when Python runs the file.

    Its `models`, if it has one, is what the file imports by that name; so are modules that another person's file calls
    alike. Afterwards the path and this project's packages are as they were.
    """
    file = file_of(target)
    if file is None:
        yield
        return
    folder = file.parent
    for modules in (modules for other, modules in _loaded.items() if other != folder):
        for name in (name for name, module in modules.items() if sys.modules.get(name) is module):
            del sys.modules[name]
    ours = _take_out(name for name in OURS if _hides(folder, name))
    path = list(sys.path)
    sys.modules.update(_loaded.get(folder, {}))
    before = set(sys.modules)
    # Where ours lie is off the path: a package with an __init__.py further down it would hide theirs without one.
    sys.path[:] = [str(folder), *(place for place in path if not ours or Path(place).resolve() != PROJECT)]
    try:
        yield
    finally:
        sys.path[:] = path
        new = {name: module for name, module in sys.modules.items() if name not in before and _lies_in(module, folder)}
        _loaded.setdefault(folder, {}).update(new)
        _take_out({name.partition(".")[0] for name in ours})
        sys.modules.update(ours)


def _hides(folder: Path, name: str) -> bool:
    """Whether a folder has a package or module that is called like one of ours, and is not that one."""
    package = folder / name
    there = package.is_dir() or package.with_suffix(".py").is_file()
    return there and package.resolve() != PROJECT / name


def _take_out(heads: Iterable[str]) -> dict[str, ModuleType]:
    """Packages with all in them, out of what is imported."""
    chosen = set(heads)
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in chosen}


def _lies_in(module: ModuleType, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    places = [file] if file else list(getattr(module, "__path__", []))
    return any(Path(place).is_relative_to(folder) and is_own(Path(place).resolve()) for place in places)


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
    if head != module and head in OURS:
        return f"{head!r} is a package of this project, which hides yours of that name: rename yours"
    return "is the folder that holds it on the path?"


def told(error: Exception, file: Path | None) -> str:
    """An exception of a person's code on one line, with the place where it left their file, or else arose."""
    frames = traceback.extract_tb(error.__traceback__)
    frame = ([each for each in frames if each.filename == str(file)] or frames)[-1]
    first = str(error).strip().split("\n")[0]
    place = "" if isinstance(error, SyntaxError) else f" ({Path(frame.filename).name}, line {frame.lineno})"
    return f"{type(error).__name__}: {first}{place}"
