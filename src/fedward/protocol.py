"""The nouns that defences, attacks, the simulator and the server plug-in share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Float64, Int64, UInt8
from torch import Tensor

from fedward.layout import Layout

Sparsity = Literal["dense", "ternary"]
"""``dense``: equation 3. ``ternary``: entries of at most half the maximum become zero."""


@dataclass(frozen=True)
class Signatures:
    """All that clustering amplified updates (AmGrad) needs of them: a 32nd of their size.

    Attributes:
        sparsity: which entries amplification keeps.
        norms: L2 norm of every raw update; NaN or infinite where an entry is.
        maxima: largest magnitude of every layer.
        kept: entries of every layer that amplification does not turn to zero.
        negative: one bit an entry, set where it is kept and negative: entry k of a layer is
            bit k % 8, counted from the lowest, of the layer's byte k // 8. Layers begin at
            multiples of 8 bytes; what is between them is zero.
        present: one bit an entry, set where it is kept; None when everything is.
    """

    sparsity: Sparsity
    norms: Float64[Tensor, " clients"]
    maxima: Float64[Tensor, "clients layers"]
    kept: Int64[Tensor, "clients layers"]
    negative: UInt8[Tensor, "clients bytes"]
    present: UInt8[Tensor, "clients bytes"] | None = None

    def __len__(self) -> int:
        return len(self.norms)

    def of(self, rows: Bool[Tensor, " clients"]) -> "Signatures":
        """Those of some of the rows, copied."""
        return Signatures(
            self.sparsity,
            self.norms[rows],
            self.maxima[rows],
            self.kept[rows],
            self.negative[rows],
            None if self.present is None else self.present[rows],
        )


@dataclass(frozen=True)
class Round:
    """What the server holds when the updates of a round are in.

    Attributes:
        updates: local model minus global model, one row a client. May be memory-mapped and
            larger than memory: work on it in blocks of columns, and never modify it.
        weights: samples that each client says it trained on. Self-reported, so untrusted.
        params: the global model that the clients started from.
        layout: which columns are which layer.
        clients: identity of each row; what a defence remembers is kept by it.
        index: number of the round, from 0.
        generator: the only randomness that a defence may use.
        memory: what the same defence returned as memory in the round before.
        signatures: of ``updates``, where somebody made them as the updates came in. Whoever
            sets them vouches for them; only their shapes can be checked. A defence that
            has no use for them ignores them.

    Raises:
        ValueError: if the parts do not fit together.
    """

    updates: Float[Tensor, "clients params"]
    weights: Float[Tensor, " clients"]
    params: Float[Tensor, " params"]
    layout: Layout
    clients: Int64[Tensor, " clients"]
    index: int
    generator: torch.Generator
    memory: Mapping[str, Tensor] = field(default_factory=dict)
    signatures: Signatures | None = None

    def __post_init__(self) -> None:
        # Nobody differentiates through a decision, and a defence that remembers would keep
        # the graphs of all rounds alive.
        for name in ("updates", "weights", "params"):
            if getattr(self, name).requires_grad:
                object.__setattr__(self, name, getattr(self, name).detach())
        if self.updates.ndim != 2:
            raise ValueError(
                "updates need two dimensions (clients, params), "
                f"got shape {tuple(self.updates.shape)}"
            )
        rows, columns = self.updates.shape
        if not self.updates.is_floating_point():
            raise ValueError(f"updates must be floating point, got {self.updates.dtype}")
        if self.layout.params != columns or self.params.numel() != columns:
            raise ValueError(
                f"updates have {columns} columns, the layout {self.layout.params}, "
                f"the global model {self.params.numel()}; they must agree"
            )
        if self.weights.numel() != rows or self.clients.numel() != rows:
            raise ValueError(
                f"{rows} updates need {rows} weights and identities, got "
                f"{self.weights.numel()} and {self.clients.numel()}"
            )
        if self.signatures is not None:
            held = self.signatures
            got = (len(held), held.maxima.shape[1], held.negative.shape[1])
            packed = sum(packed_sizes(self.layout))
            if got != (rows, len(self.layout.names), packed):
                raise ValueError(
                    f"{rows} updates of {len(self.layout.names)} layers need as many "
                    f"signatures of {packed} bytes, got {got[0]} of {got[1]} and {got[2]}"
                )


FAILED = "failed: "
"""How the reason begins where a client sent nothing because its training raised."""


def packed_sizes(layout: Layout) -> tuple[int, ...]:
    """Bytes of every layer in a signature, one bit an entry in words of 8 bytes."""
    return tuple(-(-size // 64) * 8 for size in layout.sizes)


@dataclass(frozen=True)
class Verdict:
    """What became of one client's update, and why.

    Attributes:
        accepted: whether the update was used.
        reason: one short sentence in plain words.
        norm: L2 norm of the raw update.
        factor: what the update was multiplied by before averaging; None if not used.
        distance: mean distance to the accepted group, in the space that was clustered.
        core_distance: OPTICS core distance; None for methods without one.
        reachability: OPTICS reachability; None where undefined (a walk's first point).
        position: place in the OPTICS ordering, from 0.
    """

    accepted: bool
    reason: str
    norm: float | None = None
    factor: float | None = None
    distance: float | None = None
    core_distance: float | None = None
    reachability: float | None = None
    position: int | None = None

    @property
    def failed(self) -> bool:
        """Whether there was no update to judge, so that this is no defence's decision."""
        return self.reason.startswith(FAILED)


@dataclass(frozen=True)
class Aggregation:
    """What a defence decided.

    Attributes:
        update: to be added to the global model; zero when the round is held.
        verdicts: one for each row of the round, in the same order.
        held: why the round was held and the model kept, or None.
        facts: numbers of the whole round worth recording, such as ``eps`` or ``bound``.
        memory: named tensors that the caller hands to the next round.
    """

    update: Float[Tensor, " params"]
    verdicts: tuple[Verdict, ...]
    held: str | None = None
    facts: Mapping[str, float] = field(default_factory=dict)
    memory: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def accepted(self) -> Bool[Tensor, " clients"]:
        """Whose updates were used."""
        return torch.tensor(
            [verdict.accepted for verdict in self.verdicts], dtype=torch.bool
        )


@runtime_checkable
class Defense(Protocol):
    """A frozen dataclass of settings, called with a round.

    Attributes:
        selects: whether it accepts some clients and rejects others; the attack escape rate
            of a method that does not select is undefined.
        needs: fewest usable updates it can decide on; with fewer the round is held.
    """

    selects: ClassVar[bool]
    needs: ClassVar[int]

    def __call__(self, round: Round, /) -> Aggregation:
        """Decide one round; a pure function of it."""
        ...


def hold(
    round: Round, reason: str, verdicts: tuple[Verdict, ...] | None = None
) -> Aggregation:
    """Keep the model as it is this round, and say why."""
    rejected = Verdict(accepted=False, reason=reason)
    return Aggregation(
        update=torch.zeros_like(round.params),
        verdicts=verdicts or (rejected,) * len(round.updates),
        held=reason,
        memory=round.memory,
    )
