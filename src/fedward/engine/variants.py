"""Evaluation of images together with variants of them that differ in a small patch.

A trigger is a few pixels in a corner. Until a layer looks at the whole image, what a model
computes of the stamped image equals what it computes of the clean one, but for a patch that
grows with every window. So the clean image is computed once, and of every variant the patch
alone; at the first linear layer the variant is the clean sum, corrected by what changed.

Numbers equal those of the plain model up to rounding, which decides an answer only where
two logits are equal up to rounding.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv2d, linear, local_response_norm, max_pool2d, relu

from fedward.engine.patches import (
    Change,
    Columns,
    NotLocal,
    Patch,
    Window,
    largest_of_four,
    square,
)
from fedward.engine.response import BETA, Normalise
from fedward.engine.spectral import Convolve


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
