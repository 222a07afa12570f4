"""The report's first lines: what happened, in plain words, and the numbers to remember."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from fedward.report.palette import RUNS
from fedward.report.runs import RunView, named
from fedward.report.tables import Cell, floor, percent, progress, share


@dataclass(frozen=True)
class Card:
    """One run in a few numbers.

    Attributes:
        label: the run's name, unlike all others.
        about: defence against attack, in words.
        hue: index of the run's colour in the palette.
        numbers: what is measured, and its value.
    """

    label: str
    about: str
    hue: int
    numbers: tuple[tuple[str, Cell], ...]


def about(runs: Sequence[RunView]) -> str:
    """What all runs have in common, in one line, such as the data set and the attack."""
    parts = [f"{len(runs)} run{'s' if len(runs) > 1 else ''}"]
    for word, key in (("on", "dataset"), ("model", "model"), ("partition", "partition")):
        names = list(dict.fromkeys(named(run.config.get(key)) for run in runs))
        if None not in names:
            parts.append(f"{word} {', '.join(map(str, names))}")
    attacks = list(dict.fromkeys(_attack(run) for run in runs if not run.clean))
    parts.append(f"attack {', '.join(attacks)}" if attacks else "no attack")
    return " · ".join(parts)


def _attack(run: RunView) -> str:
    """The attack in a word or two; a drill's settings do not name it."""
    if run.clean:
        return "no attack"
    return run.attack or ("unknown" if run.blind else "planted attackers")


def headline(runs: Sequence[RunView], labels: Sequence[str]) -> list[str]:
    """Some sentences on what the runs show; a deployment's need not be finished."""
    named = list(zip(runs, labels, strict=True))
    struck = [
        (success, run, label)
        for run, label in named
        if not run.clean and (success := share(run, "aasr")) is not None
    ]
    said = []
    if struck:
        said += _attacked(struck, runs)
    elif reached := [
        f"{label} {percent(share(run, 'ma_final'))}"
        for run, label in named
        if run.result and not (run.blind and share(run, "ma_final") is None)
    ]:
        said.append(f"Accuracy on clean test images: {', '.join(reached)}.")
    for run, label in named:
        if run.blind and run.verdicts:
            said.append(
                f"{label} accepted {_accepted(run)} updates; nobody knows which were "
                "malicious."
            )
    open_ends = [
        f"{label} ({progress(run)} rounds)" for run, label in named if run.result is None
    ]
    if open_ends:
        said.append(f"Still to finish: {', '.join(open_ends)}.")
    return said


Struck = Sequence[tuple[float, RunView, str]]
"""Attacked runs: AASR, the run, its label."""


def _attacked(struck: Struck, runs: Sequence[RunView]) -> list[str]:
    """What the attack achieves, in the federation in which that is most."""
    places = _federations(struck)
    place = max(places, key=lambda place: place[-1][0])
    said = []
    if len(places) > 1:
        said.append(
            f"There are {len(places)} attacked federations here; this is the one in which "
            "the attack succeeds most."
        )
    said.append(_contrast(place))
    _, best, label = place[0]
    low = floor(best, runs, "aasr")
    if low is not None:
        said.append(
            "A model that nobody attacked gives the attacker's answer on "
            f"{percent(low)} of the same images: that is the floor."
        )
    if best.selects and share(best, "aer") is not None:
        said.append(
            f"{label} admitted {percent(share(best, 'aer'))} of the attackers' "
            f"updates and turned away {percent(share(best, 'brr'))} of the honest ones."
        )
    return said


def _federations(struck: Struck) -> list[Struck]:
    """Runs that differ in their defence alone side by side, ascending by AASR.

    Others are not to be compared: another seed has another floor.
    """
    found: dict[str, list[tuple[float, RunView, str]]] = {}
    for entry in sorted(struck, key=lambda entry: entry[0]):
        same = {k: v for k, v in entry[1].config.items() if k not in ("defense", "key")}
        found.setdefault(json.dumps(same, sort_keys=True), []).append(entry)
    return list(found.values())


def _contrast(struck: Struck) -> str:
    """The weakest and the strongest defence in one sentence; entries ascend by AASR."""
    (low, best, best_label), (high, worst, worst_label) = struck[0], struck[-1]
    if len(struck) == 1:
        return (
            f"Under {best.attack} the backdoor works on {percent(low)} of the triggered "
            f"images with {best_label}, which classifies "
            f"{percent(share(best, 'ma_final'))} of the clean ones correctly."
        )
    return (
        f"The backdoor works on {percent(high)} of the triggered images with {worst_label} "
        f"and on {percent(low)} with {best_label}; they classify "
        f"{percent(share(worst, 'ma_final'))} and {percent(share(best, 'ma_final'))} "
        "of the clean images correctly."
    )


def cards(runs: Sequence[RunView], labels: Sequence[str]) -> list[Card]:
    """A card a run."""
    return [
        _card(run, label, index % len(RUNS), runs)
        for index, (run, label) in enumerate(zip(runs, labels, strict=True))
    ]


def _card(run: RunView, label: str, hue: int, runs: Sequence[RunView]) -> Card:
    success = "aasr" if run.result and share(run, "aasr") is not None else "asr_final"
    low = floor(run, runs, success)
    note = "" if low is None else f"floor {percent(low)}"
    words = {"aasr": "Attack success, mean", "asr_final": "Attack success, last"}
    title = "Attacker's answer anyway" if run.clean else words[success]
    numbers = [
        (title, Cell(percent(share(run, success)), note)),
        ("Accuracy", Cell(percent(share(run, "ma_final")))),
        *_errors(run),
    ]
    against = "unknown attackers" if run.blind and run.attack is None else _attack(run)
    about = f"{run.defense or 'no defence'} against {against}"
    if run.result is None:
        about += f", unfinished: {progress(run)} rounds"
    return Card(label, about, hue, tuple(numbers))


def _errors(run: RunView) -> list[tuple[str, Cell]]:
    """AER and BRR; where nobody knows them, also what became of the updates."""
    aer, brr = (Cell(percent(share(run, key))) for key in ("aer", "brr"))
    if not run.blind:
        return [("Attackers admitted", aer), ("Honest rejected", brr)]
    return [("AER", aer), ("BRR", brr), ("Updates accepted", Cell(_accepted(run)))]


def _accepted(run: RunView) -> str:
    """Updates accepted, and of how many."""
    accepted = sum(verdict.accepted for verdict in run.verdicts)
    return f"{accepted} of {len(run.verdicts)}"
