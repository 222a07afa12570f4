"""Write docs/robustness.md from the results of the table of attacks and defences.

python scripts/render_robustness.py results/attacks/cells.jsonl docs/robustness.md
"""

import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedward.attacks import ATTACK_PRESETS, ATTACKS, ExplicitBoosting, ModelReplacement
from fedward.bench.results import read_results
from fedward.defenses import DEFENSE_PRESETS, DEFENSES
from fedward.report.intervals import interval
from fedward.simulation.config import from_table, is_clean

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
CLEAR = 0.1
"""What counts as success: this much above the floor, or below the clean accuracy."""

NEAR = 0.05
"""Methods that are closer than this in a mean share are not ranked."""

NAMES: Mapping[Any, str] = {
    **{made(): name for name, made in ATTACKS.items() if name != "explicit-boosting"},
    ExplicitBoosting(objective="malicious"): "explicit-boosting (malicious)",
    **{made: name for name, made in ATTACK_PRESETS.items() if made != ModelReplacement()},
}
"""What attacks are called. Explicit boosting with its default objective, and the preset
``mla``, send what model replacement sends."""

METHODS: Mapping[Any, str] = {
    **{made(): name for name, made in DEFENSES.items()},
    **{made: name for name, made in DEFENSE_PRESETS.items()},
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
        aasr, floor = self.mean(attack, "fedavg", "aasr"), self.floor(attack)
        if aasr is not None and floor is not None:
            return aasr - floor >= CLEAR
        ma, clean = self.mean(attack, "fedavg", "ma_final"), self.floor(attack, "ma_final")
        return ma is not None and clean is not None and clean - ma >= CLEAR


def values(cells: Iterable[Mapping[str, float | None]], figure: str) -> list[float]:
    """One figure of every seed that has it."""
    return [value for cell in cells if (value := cell[figure]) is not None]


def read_cells(results: Iterable[Mapping[str, Any]]) -> Cells:
    """Results in their places."""
    figures: dict[Key, list[Any]] = defaultdict(list)
    floors: dict[str, list[Any]] = defaultdict(list)
    for result in results:
        config = from_table(result["config"])
        attack = NOBODY if config.attack is None else NAMES[config.attack]
        if config.attack is not None and is_clean(config):
            floors[attack].append(result["metrics"])
        else:
            figures[attack, METHODS[config.defense]].append(result["metrics"])
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
                "yes" if cells.succeeds(attack) else "**no**",
            ]
        )
    head = ["attack", "seeds", "floor", "AASR", "last ASR", "clean MA", "MA", "succeeds"]
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
    """Methods that let clearly less through than Fedward without clearly less accuracy."""
    better = []
    for name in DEFENSES:
        if name.startswith("fedward"):
            continue
        ours, theirs = (
            {f: cells.mean(attack, who, f) for f in ("aasr", "ma_final")}
            for who in ("fedward", name)
        )
        if None in (*ours.values(), *theirs.values()):
            continue
        gap, cost = (float(ours[f] or 0) - float(theirs[f] or 0) for f in ours)
        if gap > NEAR and cost < NEAR:
            better.append((-gap, name))
    return [name for _, name in sorted(better)]


def losses(cells: Cells) -> str:
    """Every attack that works, what of it Fedward lets through, and who does better."""
    rows = []
    for attack in cells.attacks:
        aasr, floor = cells.mean(attack, "fedward", "aasr"), cells.floor(attack)
        if aasr is None or floor is None or not cells.succeeds(attack):
            continue
        verdict = "holds" if aasr - floor < CLEAR else "**opened**"
        better = ", ".join(f"`{name}`" for name in beaten_by(cells, attack)) or "nobody"
        own = cells.figures[attack, "fedward"]
        figures = [shown(own, f) for f in ("aasr", "aer", "brr")]
        rows.append([f"`{attack}`", shown(cells.floors[attack], "aasr"), *figures])
        rows[-1] += [verdict, better]
    head = ["attack", "floor", "AASR", "AER", "BRR", "Fedward", "clearly better"]
    return table(head, rows)


PAGE = """# Robustness

Every attack against every defence, on the embedded digits. This page was written by
`scripts/render_robustness.py` out of `results/attacks`; no number was typed.

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

An attack *succeeds* if its AASR is at least {clear} points above the floor, or, where it is
untargeted, if it costs as much accuracy. Rows of attacks that do not succeed say nothing
about defences.

{strength}

`explicit-boosting` with its default objective sends what `model-replacement` sends, and the
preset `mla` is `model-replacement`; neither was run twice.

## Where Fedward loses

Fedward *holds* an attack if its AASR stays within {clear} points of the floor. *Clearly
better* are methods whose AASR is more than {near} points lower and whose final accuracy is
less than {near} points lower, the best first. Only attacks that succeed are listed.

{losses}

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
        clear=f"{100 * CLEAR:g}",
        near=f"{100 * NEAR:g}",
        strength=strength(cells),
        losses=losses(cells),
        aasr=by_defense(cells, ["aasr"], quiet=False),
        selection=by_defense(cells, ["aer", "brr"], quiet=True),
        ma=by_defense(cells, ["ma_final"], quiet=True),
    )


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    target.write_text(page(read_cells(read_results([source]).values())))
