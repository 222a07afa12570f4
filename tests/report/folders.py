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
    """A run to write; the attack and the defence begin with round ``start``."""

    name: str
    defense: str = "fedward"
    attack: str | None = "dba"
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
    def finished(self) -> bool:
        return self.rounds == self.planned

    @property
    def selects(self) -> bool:
        return self.defense != "fedavg"


def config_of(case: Case) -> Line:
    attack = {"name": case.attack, "pdr": 0.3125, "target": 2, "epochs": 6, "lr": 0.05}
    return {
        "dataset": case.dataset,
        "model": "mnistnet",
        "partition": {"name": "dirichlet", "alpha": 0.5},
        "clients": case.clients,
        "clients_per_round": 10,
        "rounds": case.planned,
        "training": {"epochs": 1, "batch": 64, "lr": 0.01, "momentum": 0.9},
        "attack": attack if case.attack else None,
        "attackers": {"count": 4, "choice": "fixed", "start": case.start, "stop": None},
        "defense": {"name": case.defense, "clip": "sorted"} if case.selects else "fedavg",
        "seed": case.seed,
    }


def write_run(folder: Path, case: Case) -> Path:
    """Write the folder; an unfinished case has no result."""
    folder.mkdir(parents=True)
    rng = random.Random(f"{case.name} {case.seed}")
    records, verdicts = [], []
    for number in range(case.rounds):
        seen = _verdicts(case, number, rng)
        verdicts += seen
        records.append(_record(case, number, seen, rng))
    (folder / "config.json").write_text(json.dumps(config_of(case)))
    write_lines(folder / "rounds.jsonl", records)
    write_lines(folder / "verdicts.jsonl", verdicts)
    if case.finished:
        (folder / "result.json").write_text(json.dumps(_result(case, records, verdicts)))
    return folder


def write_lines(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def _verdicts(case: Case, number: int, rng: random.Random) -> list[Line]:
    attacked = case.attack is not None and number >= case.start
    defended = case.selects and number >= case.start
    others = [client for client in range(case.clients) if client not in ATTACKERS]
    lines: list[Line] = []
    for client in [*ATTACKERS, *sorted(rng.sample(others, 6))]:
        malicious = attacked and client in ATTACKERS
        gap = (
            rng.gauss(34, 1.2) if malicious and rng.random() > 0.03 else rng.gauss(22, 2.4)
        )
        accepted = not defended or gap < 25.5
        norm = rng.lognormvariate(1.15, 0.1) if malicious else rng.lognormvariate(0.35, 0.2)
        lines.append({
            "round": number, "client": client, "malicious": malicious,
            "rarity": round(rng.random(), 3), "accepted": accepted,
            "reason": _reason(defended, accepted), "norm": norm,
            "factor": min(1.0, 1.5 / norm) if defended and accepted else None,
            "distance": gap if defended else None, "core_distance": None,
            "reachability": None, "position": None,
        })  # fmt: skip
    if defended:
        walk = sorted(lines, key=lambda line: float(line["distance"]))
        for place, line in enumerate(walk):
            line["position"] = place
            line["core_distance"] = line["distance"] - 0.5
            line["reachability"] = line["distance"] + rng.random() if place else None
    return lines


def _reason(defended: bool, accepted: bool) -> str:
    if not defended:
        return "every update is used"
    return "in the majority group" if accepted else "outside the majority group"


def _record(case: Case, number: int, seen: Sequence[Line], rng: random.Random) -> Line:
    attacked = any(line["malicious"] for line in seen)
    defended = number >= case.start
    taken = 1 - 0.75 ** max(0, number - case.start + 1)
    success = 0.97 * taken if case.attack and not case.selects else 0.004
    whole = min(1.0, max(0.0, success + rng.gauss(0.008, 0.003)))
    growth = 1 - 0.78 ** (number + 2)
    held = attacked and case.selects and number in (11, 12)
    return {
        "round": number, "attacked": attacked, "defended": defended,
        "ma": 0.955 * growth + rng.gauss(0, 0.006) - 0.02 * case.selects,
        "asr": {"whole": whole, **{f"part {k}": whole / (2 + k) for k in range(4)}},
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
    struck = [record for record in records if record["attacked"]]
    window = [record["asr"]["whole"] for record in struck]
    parts = (
        {f"part {k}": fmean(r["asr"][f"part {k}"] for r in struck) for k in range(4)}
        if struck
        else {}
    )
    honest = [line for line in verdicts if not line["malicious"]]
    rejected = sum(not line["accepted"] for line in honest)
    escapes = bool(struck) and case.selects
    return {
        "key": f"{random.Random(case.name).getrandbits(64):016x}",
        "name": case.name,
        "config": config_of(case),
        "rounds": case.planned,
        "metrics": {
            "ma_final": records[-1]["ma"],
            "ma_last10": fmean(record["ma"] for record in records[-10:]),
            "aasr": fmean(window) if window else None,
            "aasr_from_10": fmean(window[5:]) if window[5:] else None,
            "aasr_parts": parts,
            "asr_final": records[-1]["asr"]["whole"],
            "aer": sum(r["admitted_attackers"] for r in struck)
            / sum(r["attackers"] for r in struck) if escapes else None,
            "brr": rejected / len(honest) if case.selects else None,
            "brr_attacked": rejected / len(honest) if escapes else None,
            "brr_unattacked": None,
            "brr_rare": 0.25 if case.selects else None,
        },
        "params_sha256": f"{random.Random(case.name).getrandbits(256):064x}",
        "seconds": 78.25,
        "provenance": {
            "fedward": "0.1.0", "torch": "2.13.0", "python": "3.11.7", "device": "cpu",
            "threads": 2, "engine": "reference", "commit": "0123abc",
            **({"command": case.command} if case.command else {}),
        },
    }  # fmt: skip
