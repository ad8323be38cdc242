"""Which classes are blocks, and what a block is made of: the registry behind `anatomy`.

A rule says, for one class, which units a block holds, in the order in which they run. Your own block takes three lines:

    from models import Part, register

    register(MyBlock, [Part("attn", "msa", read=("norm2", "input"), branch="attn"), Part("mlp", "mlp", branch="mlp")])
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from models.errors import BadOption, UnknownAnatomy, one_of

KINDS = ("conv", "msa", "mlp", "pool")


@dataclass(frozen=True)
class Part:
    """One unit of a block. Paths are relative to the block, "" is the block itself.

    name: path that names the unit. kind: "conv", "msa", "mlp" or "pool".
    read: where its feature map can be read *after the residual add*, (path, "input" or "output").
    branch: the last module of its residual branch; with its output zero, only the skip remains. None: no residual.
    channels_last: the map is [batch, height, width, channels] there.
    """

    name: str
    kind: str
    read: tuple[str, str] = ("", "output")
    branch: str | None = None
    channels_last: bool = False

    def __post_init__(self) -> None:
        one_of("kind", self.kind, KINDS)
        one_of("read[1]", self.read[1], ("input", "output"))


# A rule is a list of parts, or a function of the block that gives them; or, as a sentence, why there can be none.
Rule = Sequence[Part] | Callable[[nn.Module], Sequence[Part]] | str
_rules: dict[type[nn.Module], Rule] = {}


def register(block: type[nn.Module], rule: Rule) -> None:
    """Declare a block class: its parts in the order in which they run, or a function of an instance that gives them.

    A class may be declared again; the last word counts. Raises BadOption for what is no class of torch.nn.Module.
    """
    if not (isinstance(block, type) and issubclass(block, nn.Module)):
        raise BadOption(f"register() takes a class derived from torch.nn.Module, not {block!r}")
    _rules[block] = rule


def parts_of(module: nn.Module) -> Sequence[Part] | None:
    """The parts of a module whose class is registered, else None; UnknownAnatomy if it is known not to have any.

    A subclass counts as its registered base as long as it keeps the base's forward: another forward, another block.
    """
    for base in type(module).__mro__:
        if base in _rules and type(module).forward is base.forward:
            rule = _rules[base]
            if isinstance(rule, str):
                raise UnknownAnatomy(f"{type(module).__module__}.{type(module).__name__} is known, but {rule}")
            return rule(module) if callable(rule) else rule
    return None


def find_blocks(model: nn.Module, path: str = "") -> Iterator[tuple[str, nn.Module, Sequence[Part]]]:
    """(path, module, parts) of every registered block, in the order of the modules; never a block within a block."""
    parts = parts_of(model)
    if parts is not None:
        yield path, model, parts
        return
    for name, child in model.named_children():
        yield from find_blocks(child, f"{path}.{name}" if path else name)
