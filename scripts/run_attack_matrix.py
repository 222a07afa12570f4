"""Run every cell of the table of attacks and defences, one JSON line a cell.

A cell is what ``fedward run --preset matrix --attack A --defense D --seed S`` runs. Here
one process runs many, and the defences that meet one attack share the rounds before it: a
round depends on the configuration and on the state before it alone, so the numbers are the
same bit for bit. Cells that the folder holds already are not run again.

    python scripts/run_attack_matrix.py FOLDER --seeds 0,1,2 --shard 1/2
"""

import argparse
import itertools
import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from fedward.attacks import ATTACKS
from fedward.bench.grid import NOBODY, Cell, make_grid
from fedward.data.images import Dataset
from fedward.data.sources import load
from fedward.defenses import DEFENSES, FedAvg
from fedward.engine import Parallel
from fedward.simulation.checkpoint import params_hash
from fedward.simulation.folder import append_lines, read_lines
from fedward.simulation.presets import PRESETS
from fedward.simulation.provenance import provenance
from fedward.simulation.rounds import federation, first_state, simulate
from fedward.simulation.runner import finished_result

# With its default objective, explicit boosting sends what model replacement sends.
OTHERWISE = {"explicit-boosting": "explicit-boosting:objective=malicious"}
VARIANTS = ("cluster=dbscan", "cluster=hdbscan", "cluster=none", "amgrad=off", "clip=none")


def cells(seeds: Sequence[int]) -> Iterator[list[Cell]]:
    """Cells of one seed and attack, in the order of the grid."""
    attacks = [NOBODY, *(OTHERWISE.get(name, name) for name in ATTACKS)]
    attacks += ["dba-single-shot-10", "ala", "amsa"]
    defenses = ["fedavg", *(name for name in DEFENSES if name != "fedavg")]
    defenses += [f"fedward:{variant}" for variant in VARIANTS]
    grid = make_grid(
        "attacks",
        "Every attack against every defence",
        {"mnist-small": PRESETS["matrix"].config},
        {"seed": list(seeds), "attack": attacks, "defense": defenses},
    )
    for _, group in itertools.groupby(grid.cells, key=group_of):
        yield list(group)


def group_of(cell: Cell) -> tuple[int, str]:
    """Cells of one group differ in the defence and in whether anybody attacks."""
    return cell.config.seed, str(cell.config.attack)


def run_group(group: Sequence[Cell], data: Dataset) -> Iterator[dict[str, Any]]:
    """The results of cells that share the rounds before the attack."""
    config = group[0].config
    fed = federation(replace(config, defense=FedAvg()), data, Parallel(workers=1))
    early = list(itertools.islice(simulate(fed), config.first_defended))
    state = early[-1][0] if early else first_state(fed)
    command = shlex.join(["python", *sys.argv])
    for cell in group:
        own = replace(fed, config=cell.config)
        rounds = [*early, *simulate(own, state)]
        records = [record for _, record in rounds]
        made_by = provenance("cpu", "parallel", command)
        yield finished_result(own, records, params_hash(rounds[-1][0].params), made_by)


def main() -> None:
    """Run what the command line says is this process's share."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--shard", default="1/1", help="this process's share, as 1/2")
    asked = parser.parse_args()
    share, shares = map(int, asked.shard.split("/"))
    torch.set_num_threads(1)
    asked.folder.mkdir(parents=True, exist_ok=True)
    data = load("mnist-small")
    groups = list(cells([int(seed) for seed in asked.seeds.split(",")]))
    for group in groups[share - 1 :: shares]:
        done = {
            line["key"]
            for path in asked.folder.glob("*.jsonl")
            for line in read_lines(path)
        }
        left = [cell for cell in group if cell.key not in done]
        for result in run_group(left, data) if left else ():
            append_lines(asked.folder / f"cells-{share}.jsonl", [result])
            print(
                result["config"]["seed"],
                json.dumps(result["config"]["attack"])[:40],
                result["name"],
                result["metrics"]["aasr"],
                flush=True,
            )


if __name__ == "__main__":
    main()
