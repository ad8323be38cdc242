"""What a person's own network is made of: the files of its code, found by reading and without running any."""

from __future__ import annotations

import ast
import importlib.util
from functools import lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from harness.errors import HarnessError
from models.errors import UnknownModel
from models.subject import OURS, file_of, importable, is_own, parse


def own_files(target: str) -> list[Path]:
    """The file of a factory, then those of the person's own modules that it imports, directly or not, by their names.

    Own is what belongs neither to this project nor to Python, nor is installed. Imports are read wherever they stand;
    a module that is imported by a computed name is not seen.

    Raises:
        HarnessError: there is no such file or module, or the target is of another form.
    """
    try:
        with importable(target):
            first, package = _file_of_factory(target)
            found: dict[str, Path | None] = {}
            _follow(first, package, found)
            for parent in _parents(package):
                _visit(parent, found)
    except UnknownModel as error:
        raise HarnessError(f"--subject {error}") from error
    names = {path: name for name, path in sorted(found.items(), reverse=True) if path and path != first}
    return [first, *sorted(names, key=names.__getitem__)]


def _file_of_factory(target: str) -> tuple[Path, str]:
    """Where the factory stands, and the package around it ("" for none)."""
    if file := file_of(target):
        if not file.is_file():
            raise HarnessError(f"--subject {target!r}: there is no file {file}")
        return file.resolve(), ""
    module, _ = parse(target)
    spec = _find(module)
    path = _path(spec)
    if spec is not None and path is not None:
        return path, spec.parent or ""
    head, *rest = module.split(".")
    if rest and head in OURS:
        raise HarnessError(
            f"--subject {target!r}: {head!r} is a package of this project, which hides yours of that name; "
            f"give the file: --subject {module.replace('.', '/')}.py:{parse(target)[1]}"
        )
    raise HarnessError(
        f"--subject {target!r}: no module {module!r} on the path; run from the folder that holds it, or give the file: "
        "path/to/file.py:factory"
    )


def _find(module: str) -> ModuleSpec | None:
    """Where a module is. The packages around it are not imported, as `importlib.util.find_spec` would."""
    head, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(head)
    except (ImportError, ValueError):
        return None
    name = head
    for part in rest:
        if spec is None or spec.submodule_search_locations is None:
            return None
        name = f"{name}.{part}"
        spec = PathFinder.find_spec(name, list(spec.submodule_search_locations))
    return spec


def _path(spec: ModuleSpec | None) -> Path | None:
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin)
    return path.resolve() if path.suffix == ".py" and path.is_file() else None


def _visit(module: str, found: dict[str, Path | None]) -> None:
    """Note a module, with its file if it is the person's own; then follow its imports."""
    above = module.rpartition(".")[0]
    if module in found:
        return
    if above in found and found[above] is None:
        found[module] = None  # what lies in an installed package is not looked at
        return
    spec = _find(module)
    path = _path(spec)
    if spec is None or (path is None and spec.submodule_search_locations):
        return  # not there, or a folder without __init__.py, where others' packages may lie beside one's own
    found[module] = path if path is not None and is_own(path) else None
    if own := found[module]:
        _follow(own, spec.parent or "", found)


def _follow(path: Path, package: str, found: dict[str, Path | None]) -> None:
    stat = path.stat()
    for level, name in _imports(path, (stat.st_mtime_ns, stat.st_size)):
        around = package.split(".")[: len(package.split(".")) - (level - 1)] if level else []
        if level and not (package and around):
            continue  # a relative import out of no package fails when it is run
        for module in _parents(".".join([*around, *([name] if name else [])])):
            _visit(module, found)


def _parents(module: str) -> list[str]:
    """`a.b.c` runs a, a.b and a.b.c."""
    parts = module.split(".") if module else []
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]


@lru_cache(maxsize=1024)
def _imports(path: Path, stamp: tuple[int, int]) -> list[tuple[int, str]]:
    """(dots, name) of every import of a file; of `from a import b` both a and a.b, for b may be a module."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # said when it is run
        return []
    names: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [(0, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            names += [(node.level, f"{base}.{alias.name}".strip(".")) for alias in node.names if alias.name != "*"]
            names.append((node.level, base))
    return names
