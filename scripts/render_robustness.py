"""Write docs/robustness.md from the results of the table of attacks and defences.

python scripts/render_robustness.py results/attacks* docs/robustness.md
"""

import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedward.attacks import ATTACK_PRESETS, ATTACKS, ExplicitBoosting, ModelReplacement
from fedward.bench.results import read_results
from fedward.defenses import DEFENSE_PRESETS, DEFENSES, Fedward
from fedward.report.grid_cells import entries, found_grid
from fedward.report.grid_tables import SHOWN
from fedward.report.intervals import interval

NOBODY = "nobody"
PLACES = {
    "Fedward and its parts": ("fedward", "fedward-authors", *DEFENSE_PRESETS),
    "Other methods that select clients": (
        "krum",
        "multi-krum",
        "fedcc",
        "fedcc-authors",
        "flame",
        "flame-authors",
        "afa",
        "foolsgold",
        "dnc",
    ),
    "Methods that use everybody": (
        "fedavg",
        "median",
        "trimmed-mean",
        "rfa",
        "norm-clipping",
        "weak-dp",
        "crfl",
        "crfl-authors",
        "fedcc-layerwise",
    ),
}
NEAR = 0.05
"""Methods that are closer than this in a mean share are not ranked."""

NAMES: Mapping[Any, str] = {
    **{made(): name for name, made in ATTACKS.items() if name != "explicit-boosting"},
    ExplicitBoosting(objective="malicious"): "explicit-boosting (malicious)",
    **{made: name for name, made in ATTACK_PRESETS.items() if made != ModelReplacement()},
}
"""What attacks are called. Explicit boosting with its default objective, and the preset
``mla``, send what model replacement sends."""

VARIANTS: Mapping[Any, str] = {
    Fedward(amgrad="ternary"): "fedward:amgrad=ternary",
    Fedward(eps="authors"): "fedward:eps=authors",
    Fedward(clip="authors"): "fedward:clip=authors",
    Fedward(amgrad="ternary", eps="authors"): "fedward:amgrad=ternary:eps=authors",
    Fedward(amgrad="ternary", clip="authors"): "fedward:amgrad=ternary:clip=authors",
}
"""What of the authors' code lies between the default and ``fedward-authors``."""

BETWEEN = (
    "fedward",
    *VARIANTS.values(),
    "fedward-authors",
    "fedward-dbscan",
    "fedward-hdbscan",
)
"""Columns of the table that has one option changed at a time."""

METHODS: Mapping[Any, str] = {
    **{made(): name for name, made in DEFENSES.items()},
    **{made: name for name, made in DEFENSE_PRESETS.items()},
    **VARIANTS,
}

Key = tuple[str, str]


@dataclass(frozen=True)
class Cells:
    """Figures of every seed, by attack and defence; floors and clean accuracy by attack."""

    figures: Mapping[Key, Sequence[Mapping[str, float | None]]]
    floors: Mapping[str, Sequence[Mapping[str, float | None]]]

    @property
    def attacks(self) -> list[str]:
        """Those that were run: nobody, then by the register."""
        met = {attack for attack, _ in self.figures}
        return [name for name in (NOBODY, *NAMES.values()) if name in met]

    def mean(self, attack: str, defense: str, figure: str) -> float | None:
        """Over the seeds; None where undefined."""
        found = interval(values(self.figures.get((attack, defense), ()), figure))
        return None if found is None else found.mean

    def floor(self, attack: str, figure: str = "aasr") -> float | None:
        """The same of the federation in which nobody attacks and the mean is taken."""
        found = interval(values(self.floors.get(attack, ()), figure))
        return None if found is None else found.mean

    def succeeds(self, attack: str) -> bool:
        """Whether the attack does to FedAvg what it is meant to do."""
        return (self.mean(attack, "fedavg", "harm") or 0.0) >= SHOWN


def values(cells: Iterable[Mapping[str, float | None]], figure: str) -> list[float]:
    """One figure of every seed that has it."""
    return [value for cell in cells if (value := cell[figure]) is not None]


def read_cells(results: Mapping[str, Mapping[str, Any]]) -> Cells:
    """Results in their places, and beside each one's metrics its ``harm``."""
    figures: dict[Key, list[Any]] = defaultdict(list)
    floors: dict[str, list[Any]] = defaultdict(list)
    for entry in entries(found_grid(results), results):
        attack = entry.config.attack
        name = NOBODY if attack is None else NAMES[attack]
        made = [
            {**sample.result["metrics"], "harm": sample.harm}
            for sample in entry.samples
            if sample.result is not None
        ]
        if attack is not None and entry.clean:
            floors[name] += made
        else:
            figures[name, METHODS[entry.config.defense]] += made
    return Cells(figures, floors)


def shown(cells: Sequence[Mapping[str, float | None]], figure: str) -> str:
    """``81.0 ± 3.2`` in percent, ``81.0`` for one seed, a dash where undefined."""
    if not cells:
        return ""
    found = interval(values(cells, figure))
    if found is None:
        return "-"
    half = "" if found.half is None else f" ± {100 * found.half:.1f}"
    return f"{100 * found.mean:.1f}{half}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; all but the first column to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def strength(cells: Cells) -> str:
    """What every attack does to FedAvg."""
    rows = []
    for attack in [name for name in cells.attacks if name != NOBODY]:
        own, floor = cells.figures[attack, "fedavg"], cells.floors[attack]
        rows.append(
            [
                f"`{attack}`",
                str(len(own)),
                shown(floor, "aasr"),
                shown(own, "aasr"),
                shown(own, "asr_final"),
                shown(floor, "ma_final"),
                shown(own, "ma_final"),
                shown(own, "harm"),
                "yes" if cells.succeeds(attack) else "**no**",
            ]
        )
    head = [
        "attack",
        "seeds",
        "floor",
        "AASR",
        "last ASR",
        "clean MA",
        "MA",
        "harm",
        "succeeds",
    ]
    return table(head, rows)


def by_defense(cells: Cells, figures: Sequence[str], quiet: bool) -> str:
    """Three tables with an attack a row and a defence a column."""
    parts = []
    for title, names in PLACES.items():
        if "aer" in figures:
            names = tuple(n for n in names if n in DEFENSE_PRESETS or DEFENSES[n].selects)
        if not names:
            continue
        rows = []
        for attack in cells.attacks:
            if attack == NOBODY and not quiet:
                continue
            met = [cells.figures.get((attack, name), ()) for name in names]
            columns = [" / ".join(shown(c, f) for f in figures) if c else "" for c in met]
            floor = [shown(cells.floors.get(attack, ()), f) for f in figures if f == "aasr"]
            rows.append([attack if attack == NOBODY else f"`{attack}`", *floor, *columns])
        head = ["attack", *(["floor"] if "aasr" in figures else []), *names]
        parts.append(f"{title}:\n\n{table(head, rows)}")
    return "\n\n".join(parts)


def beaten_by(cells: Cells, attack: str) -> list[str]:
    """Methods that let clearly less harm through without clearly less accuracy."""
    better = []
    for name in DEFENSES:
        if name.startswith("fedward"):
            continue
        ours, theirs = (
            {f: cells.mean(attack, who, f) for f in ("harm", "ma_final")}
            for who in ("fedward", name)
        )
        if None in (*ours.values(), *theirs.values()):
            continue
        gap, cost = (float(ours[f] or 0) - float(theirs[f] or 0) for f in ours)
        if gap > NEAR and cost < NEAR:
            better.append((-gap, name))
    return [name for _, name in sorted(better)]


@dataclass(frozen=True)
class Held:
    """How a defence does against an attack that works.

    Attributes:
        surely: whether the whole 95 % interval is below the mark.
    """

    attack: str
    mean: float
    surely: bool
    targeted: bool

    @property
    def holds(self) -> bool:
        """Whether the mean is below the mark."""
        return self.mean < SHOWN


def stand(cells: Cells, defense: str = "fedward") -> list[Held]:
    """A defence against every attack that works."""
    found = []
    for attack in filter(cells.succeeds, cells.attacks):
        harm = interval(values(cells.figures.get((attack, defense), ()), "harm"))
        if harm is not None:
            surely = harm.half is not None and harm.mean + harm.half < SHOWN
            targeted = cells.floor(attack) is not None
            found.append(Held(attack, harm.mean, surely, targeted))
    return found


def losses(cells: Cells) -> str:
    """Every attack that works, what of it Fedward lets through, and who does better."""
    rows = []
    for held in stand(cells):
        better = ", ".join(f"`{name}`" for name in beaten_by(cells, held.attack))
        own = cells.figures[held.attack, "fedward"]
        rows.append(
            [
                f"`{held.attack}`",
                shown(cells.floors[held.attack], "aasr"),
                *(shown(own, figure) for figure in ("aasr", "harm", "aer", "brr")),
                ("holds" if held.surely else "holds on average")
                if held.holds
                else "**opened**",
                better or "nobody",
            ]
        )
    head = ["attack", "floor", "AASR", "harm", "AER", "BRR", "Fedward", "clearly better"]
    return table(head, rows)


def tally(cells: Cells) -> str:
    """The table of losses in a sentence."""
    found = stand(cells)
    holds = [held for held in found if held.holds]
    surely = sum(held.surely for held in holds)
    names = ", ".join(f"`{held.attack}`" for held in found if not held.holds)
    return (
        f"Of {len(found)} attacks that succeed Fedward holds {len(holds)} on average, "
        f"{surely} of them with the whole interval.\nNot held: {names}."
    )


def between(cells: Cells) -> str:
    """Harm with one option of Fedward changed, and how many attacks that holds."""
    met = [name for name in BETWEEN if any(name == who for _, who in cells.figures)]
    stands = {name: {held.attack: held for held in stand(cells, name)} for name in met}
    rows = []
    for attack in filter(cells.succeeds, cells.attacks):
        found = [cells.figures.get((attack, name), ()) for name in met]
        rows.append([f"`{attack}`", *(shown(seeds, "harm") for seeds in found)])
    held = [[each.holds for each in stands[name].values()] for name in met]
    surely = [[each.surely for each in stands[name].values()] for name in met]
    rows.append(
        ["**held on average**", *(f"**{sum(h)}** of {len(h)}" for h in held)],
    )
    rows.append(["held with the whole interval", *(str(sum(s)) for s in surely)])
    quiet = [cells.figures.get((NOBODY, name), ()) for name in met]
    rows.append(["nobody attacks: MA", *(shown(seeds, "ma_final") for seeds in quiet)])
    rows.append(["nobody attacks: BRR", *(shown(seeds, "brr") for seeds in quiet)])
    return table(["attack", *(f"`{name}`" for name in met)], rows)


PAGE = """# Robustness

Every attack against every defence, on the embedded digits. This page was written by
`scripts/render_robustness.py` out of `results/attacks` and `results/attacks-variants`; no
number was typed.

- **What was run**: the preset `matrix`: 100 clients with 100 images each on average
  (Dirichlet 0.5), ten a round, four of which attack in rounds 5 to 19; a perceptron with
  25,450 parameters. Attacks and defences have their default settings. Any cell is one
  command:

  ```
  fedward run --preset matrix --attack pgd --defense fedward-no-amgrad --seed 0,1,2
  ```

- **How it was chosen**: by what attacks do to FedAvg, on seed 0, before any defence ran.
- **How far to believe it**: so small a model, trained for 20 rounds on 100 images a client,
  has honest updates that are less alike than those of the paper's networks. The tables
  compare methods with each other in this place; they are not the paper's figures. Defaults
  made for larger models (`norm-clipping`, `weak-dp`, `crfl`) may do nothing at this size.
- **How to read it**: shares in %, the mean over {seeds}; ± is half of the 95 % t-interval,
  which with three seeds is 2.5 standard deviations. Definitions are in `architecture.md`.
  *Floor* is the success rate in the same federation with nobody attacking and FedAvg. A
  dash is undefined: two attacks are untargeted, and methods that use everybody select
  nobody. An empty cell was not run.

## Attacks against FedAvg

The *harm* of an attack is its AASR above the floor, or, where it is untargeted, the
accuracy it costs (mean of the last ten rounds). It *succeeds* if it does FedAvg {clear}
points of harm. Rows of attacks that do not succeed say nothing about defences.

{strength}

`explicit-boosting` with its default objective sends what `model-replacement` sends, and the
preset `mla` is `model-replacement`; neither was run twice.

## Where Fedward loses

{tally}

Fedward *holds* an attack if it does less than {clear} points of harm with the whole
95 % interval, and *on average* if only the mean of the seeds says so. *Clearly better* are
methods that let through more than {near} points less harm and whose final accuracy is less
than {near} points lower, the best first. Only attacks that succeed are listed.

{losses}

## Fedward with one thing changed

The harm of attacks that succeed. `amgrad=ternary`, `eps=authors` (with `min_samples`
m // 2) and `clip=authors` (the sum of signs) are what the authors' code does otherwise than
the paper; `fedward-authors` is all three. The five variants were run on another processor
(Zen 4) than the rest of the page (Zen 3), whose last bits differ.

{between}

## Attack success rate (AASR)

{aasr}

## Attackers admitted and honest clients rejected (AER / BRR)

The row *nobody* has the defence on and nobody attacking.

{selection}

## Main accuracy after the last round

{ma}
"""


def page(cells: Cells) -> str:
    """The document."""
    counts = sorted({len(found) for found in cells.figures.values()})
    seeds = " to ".join(map(str, dict.fromkeys([counts[0], counts[-1]])))
    return PAGE.format(
        seeds=f"{seeds} seeds",
        clear=f"{100 * SHOWN:g}",
        near=f"{100 * NEAR:g}",
        strength=strength(cells),
        losses=losses(cells),
        tally=tally(cells),
        between=between(cells),
        aasr=by_defense(cells, ["aasr"], quiet=False),
        selection=by_defense(cells, ["aer", "brr"], quiet=True),
        ma=by_defense(cells, ["ma_final"], quiet=True),
    )


if __name__ == "__main__":
    *sources, target = map(Path, sys.argv[1:])
    target.write_text(page(read_cells(read_results(sources))))
