"""Evaluation of images together with variants of them that differ in a small patch.

A trigger is a few pixels in a corner. Until a layer looks at the whole image, what a model
computes of the stamped image equals what it computes of the clean one, but for a patch that
grows with every window. So the clean image is computed once, and of every variant the patch
alone; at the first linear layer the variant is the clean sum, corrected by what changed.

Numbers equal those of the plain model up to rounding, which decides an answer only where
two logits are equal up to rounding.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import conv2d, linear, local_response_norm, max_pool2d, pad, relu

from fedward.engine.response import BETA, Normalise
from fedward.engine.spectral import Convolve

Values = Float[Tensor, "..."]


class NotLocal(NotImplementedError):
    """The model does something that patches cannot be followed through."""


@dataclass(frozen=True)
class Patch:
    """Where a variant differs from the clean activations, and what stands there.

    Attributes:
        top: first row that differs.
        left: first column that differs.
        values: batch, channels, rows and columns of the patch.
    """

    top: int
    left: int
    values: Values


@dataclass(frozen=True)
class Columns:
    """The same after flattening.

    Attributes:
        numbers: of the entries that differ; None for all of them.
        values: batch, and those entries.
    """

    numbers: Int64[Tensor, " entries"] | None
    values: Values


Change = Patch | Columns


class Variants(Tensor):
    """Activations of clean images, and for every variant what differs from them.

    It goes through a model in place of a tensor; an operation that has no rule here raises
    `NotLocal`.
    """

    clean: Tensor
    changes: tuple[Change, ...]

    @staticmethod
    def __new__(cls, clean: Tensor, changes: Sequence[Change]) -> "Variants":
        """Looks like the clean activations from outside."""
        made: Variants = Tensor._make_wrapper_subclass(
            cls, clean.shape, dtype=clean.dtype, device=clean.device
        )
        made.clean, made.changes = clean, tuple(changes)
        return made

    def all(self) -> tuple[Tensor, ...]:  # type: ignore[override]
        """Whole activations: the clean ones, then every variant's.

        Raises:
            NotLocal: if a variant is still known by its patch.
        """
        whole = [
            change.values
            for change in self.changes
            if isinstance(change, Columns) and change.numbers is None
        ]
        if len(whole) < len(self.changes):
            raise NotLocal("a variant never became whole")
        return (self.clean, *whole)

    def __repr__(self) -> str:  # type: ignore[override]
        """What a debugger shows; there are no numbers of its own."""
        return f"Variants(clean {tuple(self.clean.shape)}, {len(self.changes)} changes)"

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Any = None,
    ) -> Any:
        """The rule of an operation, or what can be read off from outside."""
        if func in OUTSIDE:
            with torch._C.DisableTorchFunctionSubclass():
                return func(*args, **(kwargs or {}))
        rule = RULES.get(func)
        if rule is None or not isinstance(args[0], Variants):
            raise NotLocal(f"no rule for {getattr(func, '__name__', func)}")
        return rule(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """What goes round the rules is refused as well: there are no numbers here."""
        raise NotLocal(f"no rule for {func}")


def square(size: int | Sequence[int]) -> int:
    """One number for both directions.

    Raises:
        NotLocal: if they differ.
    """
    sizes = {size} if isinstance(size, int) else set(size)
    if len(sizes) != 1:
        raise NotLocal(f"no rule for windows of {size}")
    return int(sizes.pop())


@dataclass(frozen=True)
class Window:
    """A layer that looks at squares of its input."""

    kernel: int
    stride: int
    padding: int
    fill: float

    def reach(self, start: int, count: int, size: int) -> tuple[int, int]:
        """First output that sees inputs from ``start``, and how many do, of a line."""
        outputs = (size + 2 * self.padding - self.kernel) // self.stride + 1
        first = max(0, -((self.kernel - 1 - start - self.padding) // self.stride))
        last = min(outputs - 1, (start + count - 1 + self.padding) // self.stride)
        return first, max(0, last - first + 1)

    def through(
        self, clean: Tensor, out: Tensor, patch: Patch, layer: Callable[[Tensor], Tensor]
    ) -> Patch:
        """The patch behind the layer, which is called without padding.

        Args:
            out: what the layer makes of ``clean``.
        """
        rows, columns = patch.values.shape[-2:]
        height, width = clean.shape[-2:]
        top, high = self.reach(patch.top, rows, height)
        left, wide = self.reach(patch.left, columns, width)
        if not high or not wide:
            return Patch(0, 0, out[..., :0, :0])
        begin = top * self.stride - self.padding, left * self.stride - self.padding
        need = (
            (high - 1) * self.stride + self.kernel,
            (wide - 1) * self.stride + self.kernel,
        )
        seen = self.cut(clean, begin, need).clone()
        y, x = patch.top - begin[0], patch.left - begin[1]
        # What no output sees, because a stride leaves it out, falls off the edges.
        a, b = max(0, -y), max(0, -x)
        inside = patch.values[..., a : need[0] - y, b : need[1] - x]
        seen[..., y + a : y + a + inside.shape[-2], x + b : x + b + inside.shape[-1]] = (
            inside
        )
        return Patch(top, left, layer(seen))

    def cut(self, clean: Tensor, begin: tuple[int, int], need: tuple[int, int]) -> Tensor:
        """A window of the padded input."""
        (y, x), (high, wide) = begin, need
        height, width = clean.shape[-2:]
        part = clean[..., max(0, y) : y + high, max(0, x) : x + wide]
        around = (
            max(0, -x),
            max(0, x + wide - width),
            max(0, -y),
            max(0, y + high - height),
        )
        return pad(part, around, value=self.fill) if any(around) else part


def convolve(
    x: Variants,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Variants:
    """`conv2d`; that of the whole image by its spectrum where this is faster."""
    if isinstance(padding, str) or square(dilation) != 1:
        raise NotLocal("no rule for dilated kernels and named paddings")
    window = Window(square(weight.shape[2:]), square(stride), square(padding), 0.0)

    def layer(images: Tensor, padding: int = 0) -> Tensor:
        return conv2d(images, weight, bias, window.stride, padding, 1, groups)

    if bias is not None and spectrum_pays(x.clean, weight, window):
        clean = Convolve.apply(x.clean, weight, bias, window.padding)  # type: ignore[no-untyped-call]
    else:
        clean = layer(x.clean, window.padding)
    return Variants(clean, [window.through(x.clean, clean, p, layer) for p in patches(x)])


MIN_CHANNELS = 48
"""Inputs of a convolution from which its spectrum pays where there is no way back."""


def spectrum_pays(images: Tensor, weight: Tensor, window: Window) -> bool:
    """Whether `Convolve` knows this convolution and is faster than PyTorch on a CPU."""
    inputs = images.shape[1]
    same = inputs == weight.shape[1] and images.shape[2] == images.shape[3]
    fits = window.stride == 1 and window.padding < window.kernel
    return images.is_cpu and same and fits and window.kernel >= 5 and inputs >= MIN_CHANNELS


def pool(
    x: Variants,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Variants:
    """`max_pool2d`."""
    if ceil_mode or return_indices or square(dilation) != 1:
        raise NotLocal("no rule for this pooling")
    kernel, by = square(kernel_size), square(stride or kernel_size)
    window = Window(kernel, by, square(padding), -torch.inf)

    def layer(images: Tensor, padding: int = 0) -> Tensor:
        if (kernel, by, padding) == (2, 2, 0):
            return largest_of_four(images)
        pooled: Tensor = max_pool2d(images, kernel, by, padding)
        return pooled

    clean = layer(x.clean, window.padding)
    return Variants(clean, [window.through(x.clean, clean, p, layer) for p in patches(x)])


def largest_of_four(
    images: Float[Tensor, "batch channels height width"],
) -> Float[Tensor, "batch channels rows columns"]:
    """``max_pool2d(images, 2)``, to the bit, at about a third of its cost on a CPU.

    Two rows side by side and then two pixels side by side are compared as wholes, with
    channels last; PyTorch goes window by window and also keeps where the largest stood.
    """
    batch, channels, height, width = images.shape
    rows, columns = height // 2, width // 2
    last = images[..., : 2 * rows, : 2 * columns].permute(0, 2, 3, 1)
    pairs = last.reshape(batch, rows, 2, columns * 2 * channels)
    high = torch.maximum(pairs[:, :, 0], pairs[:, :, 1])
    high = high.view(batch, rows, columns, 2, channels)
    return torch.maximum(high[..., 0, :], high[..., 1, :]).permute(0, 3, 1, 2)


def patches(x: Variants) -> list[Patch]:
    """What differs, in space."""
    found = [change for change in x.changes if isinstance(change, Patch)]
    if len(found) < len(x.changes):
        raise NotLocal("no rule for images behind a flattening")
    return found


def each(x: Variants, change: Callable[[Tensor], Tensor]) -> Variants:
    """An operation that treats every pixel, or every entry, by itself."""
    return Variants(
        change(x.clean), [replace(c, values=change(c.values)) for c in x.changes]
    )


def normalise(
    x: Variants, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Variants:
    """`local_response_norm`, which looks across channels only."""
    patches(x)
    if (size, beta) == (2, BETA):
        return each(x, lambda v: Normalise.apply(v, alpha, k))  # type: ignore[no-untyped-call]
    return each(x, lambda v: local_response_norm(v, size, alpha, beta, k))


def rectify(x: Variants, inplace: bool = False) -> Variants:
    """`relu`."""
    return each(x, relu)


def times(x: Variants, factor: Any) -> Variants:
    """Scaled by a number."""
    if not isinstance(factor, int | float):
        raise NotLocal("no rule for products of activations")
    return x if factor == 1 else each(x, lambda v: v * factor)


def flatten(x: Variants, start_dim: int = 0, end_dim: int = -1) -> Variants:
    """``flatten(1)`` of images."""
    if (start_dim, end_dim, x.clean.ndim) != (1, -1, 4):
        raise NotLocal("only whole images are flattened")
    places = torch.arange(x.clean[0].numel(), device=x.clean.device).view(x.clean.shape[1:])
    changes = []
    for patch in patches(x):
        rows, columns = patch.values.shape[-2:]
        down, across = slice(patch.top, patch.top + rows), patch.left + columns
        numbers = places[:, down, patch.left : across].flatten()
        changes.append(Columns(numbers, patch.values.flatten(1)))
    return Variants(x.clean.flatten(1), changes)


def project(x: Variants, weight: Tensor, bias: Tensor | None = None) -> Variants:
    """`linear`; of a variant that differs in some entries, only their part of the sum."""
    clean = linear(x.clean, weight, bias)
    changes = []
    for change in x.changes:
        if isinstance(change, Patch):
            raise NotLocal("no rule for a linear layer over pixels")
        if change.numbers is None:
            values = linear(change.values, weight, bias)
        else:
            moved = change.values - x.clean[:, change.numbers]
            values = torch.addmm(clean, moved, weight[:, change.numbers].T)
        changes.append(Columns(None, values))
    return Variants(clean, changes)


RULES: dict[Callable[..., Any], Callable[..., Variants]] = {
    conv2d: convolve,
    max_pool2d: pool,
    torch.max_pool2d: pool,
    relu: rectify,
    torch.relu: rectify,
    Tensor.relu: rectify,
    local_response_norm: normalise,
    Tensor.mul: times,
    Tensor.flatten: flatten,
    torch.flatten: flatten,
    linear: project,
}
"""What stands for each operation."""

OUTSIDE = {
    Tensor.shape.__get__,  # type: ignore[attr-defined]
    Tensor.dtype.__get__,  # type: ignore[attr-defined]
    Tensor.device.__get__,
    Tensor.ndim.__get__,  # type: ignore[attr-defined]
}
"""What may be read of the clean activations in place of all."""
