"""Our own kernels in place of PyTorch's, while models run on a GPU.

Models stay written for PyTorch. Whoever runs one inside of `fused` has its convolutions,
poolings and normalisations computed by `gpu_rules`, as far as those know them, and under
`torch.func.vmap` those of all slots at once. Everything else is PyTorch's.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


@cache
def has_triton() -> bool:
    """Whether Triton is here; PyTorch for GPUs brings it along."""
    return find_spec("triton") is not None


def fuses(numbers: Tensor) -> bool:
    """Whether there are kernels for such numbers, where they are."""
    return numbers.is_cuda and numbers.dtype == torch.float32 and has_triton()


class Fused(TorchFunctionMode):
    """Takes the kernels where they know a layer.

    Args:
        rules: layers by PyTorch's functions; they return None for what they do not know.
        known: whether the kernels compute with an input's numbers.
    """

    def __init__(
        self,
        rules: Mapping[Any, Callable[..., Tensor | None]],
        known: Callable[[Tensor], bool] = fuses,
    ) -> None:
        super().__init__()
        self.rules, self.known = rules, known

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """What the function makes, one way or another."""
        rule, named = self.rules.get(func), kwargs or {}
        if rule is not None and args and args[0].ndim == 4 and self.known(args[0]):
            found = rule(*args, **named)
            if found is not None:
                return found
        return func(*args, **named)


@contextmanager
def fused(device: torch.device) -> Iterator[None]:
    """Take our own kernels for models that run inside, if the device is a GPU."""
    if device.type != "cuda" or not has_triton():
        yield
        return
    from fedward.engine.gpu_rules import RULES

    # Triton starts its kernels on the current device, whatever that of its arrays.
    with torch.cuda.device(device), Fused(RULES):
        yield
