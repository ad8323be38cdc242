"""How every page is filled: one environment for all templates."""

from __future__ import annotations

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined


def environment(*rooms: str, markup: bool = True) -> Environment:
    """Templates of these packages, then the report's; a name that nothing stands behind is an error.

    Args:
        markup: whether what is put in is escaped, as it must be in HTML and SVG.
    """
    return Environment(
        loader=ChoiceLoader([PackageLoader(room) for room in (*rooms, "harness.report")]),
        autoescape=markup,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
