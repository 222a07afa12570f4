"""Named layers <-> columns of a row.

A *layer* is one parameter tensor, weight and bias apart, floating-point only. Buffers are
not part of a layout.
"""

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor, nn


@dataclass(frozen=True)
class Layout:
    """Names and shapes of the layers, in the order of their columns.

    Raises:
        ValueError: if names and shapes differ in number, a name repeats, there is none, or
            a layer has no entry.
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        if not self.names:
            raise ValueError("a layout needs at least one layer")
        if len(self.names) != len(self.shapes):
            raise ValueError(
                f"a layout needs one shape a name, got {len(self.names)} names "
                f"and {len(self.shapes)} shapes"
            )
        if len(set(self.names)) != len(self.names):
            repeated = next(name for name in self.names if self.names.count(name) > 1)
            raise ValueError(f"layer names must differ, {repeated!r} appears twice")
        for name, size in zip(self.names, self.sizes, strict=True):
            if size == 0:
                raise ValueError(f"a layer needs at least one entry, {name!r} has none")

    @classmethod
    def of(cls, layers: nn.Module | Mapping[str, Tensor]) -> "Layout":
        """The floating-point parameters of a module, or the tensors of a mapping."""
        pairs: Iterable[tuple[str, Tensor]]
        pairs = (
            layers.named_parameters() if isinstance(layers, nn.Module) else layers.items()
        )
        kept = [(name, tuple(t.shape)) for name, t in pairs if t.is_floating_point()]
        return cls(tuple(name for name, _ in kept), tuple(shape for _, shape in kept))

    @classmethod
    def flat(cls, params: int) -> "Layout":
        """One layer of ``params`` entries, for updates whose layers are unknown."""
        return cls(("all",), ((params,),))

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Entries of every layer."""
        return tuple(math.prod(shape) for shape in self.shapes)

    @property
    def params(self) -> int:
        """Columns of a row."""
        return sum(self.sizes)

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """Columns of every layer."""
        ends = [0]
        for size in self.sizes:
            ends.append(ends[-1] + size)
        return tuple(slice(a, b) for a, b in itertools.pairwise(ends))

    def columns(self, name: str) -> slice:
        """Columns of one layer.

        Raises:
            ValueError: if no layer has that name; the message lists them.
        """
        if name not in self.names:
            raise ValueError(f"no layer {name!r}; there are {', '.join(self.names)}")
        return self.slices[self.names.index(name)]

    def flatten(self, layers: nn.Module | Mapping[str, Tensor]) -> Float[Tensor, " params"]:
        """One row, a copy, from a module or a mapping; other layers are ignored.

        Raises:
            ValueError: if a layer is missing or has another shape.
        """
        held = dict(
            layers.named_parameters() if isinstance(layers, nn.Module) else layers.items()
        )
        parts = []
        for name, shape in zip(self.names, self.shapes, strict=True):
            if name not in held:
                raise ValueError(f"layer {name!r} is missing")
            if tuple(held[name].shape) != shape:
                raise ValueError(
                    f"layer {name!r} needs shape {shape}, got {tuple(held[name].shape)}"
                )
            parts.append(held[name].detach().reshape(-1))
        return torch.cat(parts)

    def unflatten(self, row: Float[Tensor, " params"]) -> dict[str, Tensor]:
        """Views of a row by layer name.

        Raises:
            ValueError: if the row has another length.
        """
        if row.numel() != self.params:
            raise ValueError(
                f"a row of this layout has {self.params} entries, got {row.numel()}"
            )
        return {
            name: row[columns].view(shape)
            for name, columns, shape in zip(
                self.names, self.slices, self.shapes, strict=True
            )
        }

    def load(self, module: nn.Module, row: Float[Tensor, " params"]) -> None:
        """Copy a row into a module's parameters."""
        parts = self.unflatten(row)
        with torch.no_grad():
            for name, param in module.named_parameters():
                if name in parts:
                    param.copy_(parts[name])
