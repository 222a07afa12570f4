"""Run folders as the simulator leaves them, made by formula from a seed."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

ATTACKERS = (0, 1, 2, 3)
Line = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A run to write; attack and defence begin with round ``start``.

    A quiet case measures the attack's trigger while nobody attacks; one without an attack
    measures none.
    """

    name: str
    defense: str = "fedward"
    attack: str | None = "dba"
    quiet: bool = False
    planned: int = 30
    done: int | None = None
    start: int = 5
    clients: int = 40
    seed: int = 0
    dataset: str = "mnist-small"
    command: str | Sequence[str] | None = None

    @property
    def rounds(self) -> int:
        return self.planned if self.done is None else self.done

    @property
    def key(self) -> str:
        return f"{random.Random(repr(self)).getrandbits(48):012x}"

    @property
    def selects(self) -> bool:
        return self.defense != "fedavg"

    def attacked(self, number: int) -> bool:
        return self.attack is not None and not self.quiet and number >= self.start

    def measures_parts(self, number: int) -> bool:
        return number % 10 == 9 or number == self.rounds - 1


def config_of(case: Case) -> Line:
    attack = {"name": case.attack, "pdr": 0.3125, "target": 2, "epochs": 6, "lr": 0.05}
    stop = case.start if case.quiet else None
    return {
        "dataset": case.dataset,
        "model": "mnistnet",
        "partition": {"name": "dirichlet", "alpha": 0.5},
        "clients": case.clients,
        "clients_per_round": 10,
        "rounds": case.planned,
        "training": {"epochs": 1, "batch": 64, "lr": 0.01, "momentum": 0.9},
        "attack": attack if case.attack else None,
        "attackers": {"count": 4, "choice": "fixed", "start": case.start, "stop": stop},
        "defense": {"name": case.defense, **({"clip": "sorted"} if case.selects else {})},
        "defend_from": None,
        "measuring": {"every": 1, "parts_every": 10},
        "seed": case.seed,
    }


def write_run(folder: Path, case: Case) -> Path:
    """Write the folder; an unfinished case has no result."""
    folder.mkdir(parents=True)
    rng = random.Random(f"{case.name} {case.seed}")
    records: list[Line] = []
    verdicts: list[Line] = []
    for number in range(case.rounds):
        seen = _verdicts(case, number, rng)
        verdicts += seen
        records.append(_record(case, number, seen, rng))
    config = {"key": case.key, **config_of(case)}
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    write_lines(folder / "rounds.jsonl", records)
    write_lines(folder / "verdicts.jsonl", verdicts)
    if case.rounds == case.planned:
        result = _result(case, records, verdicts)
        (folder / "result.json").write_text(json.dumps(result, indent=2))
    return folder


def write_lines(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def read_lines(path: Path) -> list[Line]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _verdicts(case: Case, number: int, rng: random.Random) -> list[Line]:
    defended = case.selects and number >= case.start
    others = [client for client in range(case.clients) if client not in ATTACKERS]
    lines: list[Line] = []
    for client in [*ATTACKERS, *sorted(rng.sample(others, 6))]:
        malicious = case.attacked(number) and client in ATTACKERS
        odd = malicious and rng.random() > 0.03
        gap = rng.gauss(34, 1.2) if odd else rng.gauss(22, 2.4)
        accepted = not defended or gap < 25.5
        norm = rng.lognormvariate(1.15 if malicious else 0.35, 0.2)
        lines.append({
            "round": number, "client": client, "malicious": malicious,
            "rarity": round(rng.random(), 3), "accepted": accepted,
            "reason": _reason(defended, accepted), "norm": norm,
            "factor": min(1.0, 1.5 / norm) if accepted else None,
            "distance": gap if defended else None, "core_distance": None,
            "reachability": None, "position": None,
        })  # fmt: skip
    if defended:
        for place, line in enumerate(sorted(lines, key=lambda line: line["distance"])):
            line["position"] = place
            line["core_distance"] = line["distance"] - 0.5
            line["reachability"] = line["distance"] + rng.random() if place else None
    return lines


def _reason(defended: bool, accepted: bool) -> str:
    if not defended:
        return "every update is used"
    return "in the majority group" if accepted else "outside the majority group"


def _record(case: Case, number: int, seen: Sequence[Line], rng: random.Random) -> Line:
    defended = number >= case.start
    taken = 1 - 0.75 ** max(0, number - case.start + 1)
    fooled = 0.97 * taken if case.attacked(number) and not case.selects else 0.004
    whole = min(1.0, max(0.0, fooled + rng.gauss(0.008, 0.003)))
    parts = {f"part {k}": whole / (2 + k) for k in range(4) if case.measures_parts(number)}
    held = case.attacked(number) and case.selects and number in (11, 12)
    return {
        "round": number, "attacked": any(line["malicious"] for line in seen),
        "defended": defended,
        "ma": 0.955 * (1 - 0.78 ** (number + 2)) - 0.02 * case.selects * rng.random(),
        "asr": {"whole": whole, **parts} if case.attack else {},
        "held": "no majority group was found" if held else None,
        "facts": {"eps": 25.5, "bound": 1.5} if defended and case.selects else {},
        "clients": len(seen), "attackers": sum(line["malicious"] for line in seen),
        "admitted_attackers": sum(line["malicious"] and line["accepted"] for line in seen),
        "rejected_benign": sum(
            not line["malicious"] and not line["accepted"] for line in seen
        ),
        "seconds": {"train": rng.uniform(1.9, 2.3), "defend": 0.1, "evaluate": 0.4},
    }  # fmt: skip


def _result(case: Case, records: Sequence[Line], verdicts: Sequence[Line]) -> Line:
    asr = [record["asr"] for record in records[case.start :] if record["asr"]]
    struck = sum(record["attackers"] for record in records) if case.selects else 0
    honest = [line for line in verdicts if not line["malicious"]]
    rejected = sum(not line["accepted"] for line in honest)
    return {
        "key": case.key, "name": case.name, "config": config_of(case),
        "rounds": case.planned,
        "metrics": {
            "ma_final": records[-1]["ma"],
            "ma_last10": fmean(record["ma"] for record in records[-10:]),
            "asr_final": asr[-1]["whole"] if asr else None,
            "aasr": fmean(a["whole"] for a in asr) if asr else None,
            "aasr_from_10": fmean(a["whole"] for a in asr[5:]) if asr[5:] else None,
            "aasr_parts": {name: asr[-1][name] for name in asr[-1] if name != "whole"}
            if asr else {},
            "aer": sum(r["admitted_attackers"] for r in records) / struck
            if struck else None,
            "brr": rejected / len(honest) if case.selects else None,
            "brr_attacked": rejected / len(honest) if struck else None,
            "brr_unattacked": None,
            "brr_rare": 0.25 if case.selects else None,
            "held": 0.08 if case.selects else 0.0,
        },
        "params_sha256": f"{random.Random(case.key).getrandbits(256):064x}",
        "seconds": 78.25, "finished": "2026-01-05T10:20:30Z",
        "provenance": {
            "fedward": "0.1.0", "torch": "2.13.0", "python": "3.11.7",
            "device": "cpu (a processor)", "threads": 2, "engine": "reference",
            "commit": "0123abc", **({"command": case.command} if case.command else {}),
        },
    }  # fmt: skip
