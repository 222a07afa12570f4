"""What the defence costs a Flower server: seconds and peak memory of a round.

Times `aggregate_train` of plain FedAvg, of Flower's own Krum and Bulyan, and of
``Defended(FedAvg(), defense=Fedward())`` on the same replies. Every case runs two rounds in
a process of its own: the first, with whatever is loaded at first use, and the second, which
stands for all later ones. Ratios are of the second, to FedAvg on the same replies in this
run. Replies come one after the other, as in a deployment, and are held by nobody but the
strategy; Flower's own make a list of them all. Seconds are those of the strategy, without
the making of the replies, and memory is what the round adds at its peak. Linux only.

    python benchmarks/flower_overhead.py                      all cases
    python benchmarks/flower_overhead.py --replies 10 --models mnistnet
"""

import argparse
import ctypes
import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import Bulyan, FedAvg, Krum, Strategy

from fedward.defenses import Fedward
from fedward.flower import Defended
from fedward.models import MODELS, make_model

REPLIES = (10, 50, 100)
SIZES = ("mnistnet", "cifarnet", "resnet18")


def attackers(count: int) -> int:
    """Attackers that Flower's rules are told of; Bulyan needs 4 f + 3 replies."""
    return (count - 3) // 4


STRATEGIES: dict[str, Callable[[int], Strategy]] = {
    "FedAvg": lambda count: FedAvg(fraction_evaluate=0.0),
    "Krum": lambda count: Krum(fraction_evaluate=0.0, num_malicious_nodes=attackers(count)),
    "Bulyan": lambda count: Bulyan(
        fraction_evaluate=0.0, num_malicious_nodes=attackers(count)
    ),
    "Defended(Fedward)": lambda count: Defended(
        FedAvg(fraction_evaluate=0.0), defense=Fedward()
    ),
}


class Connected:
    """As much of a grid as sampling needs."""

    def __init__(self, count: int) -> None:
        self.nodes = range(1, count + 1)

    def get_node_ids(self) -> Iterable[int]:
        """Ids of the nodes."""
        return self.nodes


def identify() -> None:
    """Newer releases let only a process that knows its task make messages."""
    try:
        from flwr.supercore.task_identity import TaskIdentity
    except ImportError:
        return
    TaskIdentity.run_id = TaskIdentity.node_id = TaskIdentity.task_id = 1


class Arriving:
    """Replies round a common update, each with as much of its own, made when asked for.

    Attributes:
        seconds: that making them took, so that they can be taken off.
    """

    def __init__(self, asked: list[Message], model: dict[str, Any]) -> None:
        self.asked, self.model = asked, model
        self.seconds = 0.0
        for place, message in enumerate(asked):
            message.metadata.__dict__["_message_id"] = str(place)

    def __iter__(self) -> Iterator[Message]:
        for place, message in enumerate(self.asked):
            began = time.perf_counter()
            reply = self.reply(place, message)
            self.seconds += time.perf_counter() - began
            yield reply
            del reply

    def reply(self, place: int, message: Message) -> Message:
        """That of one client."""
        own = np.random.default_rng(place)
        arrays = {}
        for name, values in self.model.items():
            shape = values.shape
            update = np.random.default_rng(len(name)).standard_normal(shape, np.float32)
            update += own.standard_normal(shape, np.float32)
            update *= 0.01
            arrays[name] = Array((values + update).astype(values.dtype))
        metrics = MetricRecord({"num-examples": 100})
        content = RecordDict({"arrays": ArrayRecord(arrays), "metrics": metrics})
        return Message(content, reply_to=message)


def memory(field: str) -> float:
    """MiB of this process: ``VmRSS`` now, or ``VmHWM`` at most since `forget_peak`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    found = next(line for line in lines if line.startswith(field))
    return int(found.split()[1]) / 1024


def forget_peak() -> None:
    """Give freed memory back, so that a round cannot hide in it, and begin anew.

    Flower's strategies leave the replies of a round in cycles of references.
    """
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")


def case(name: str, size: str, count: int) -> dict[str, float]:
    """Two rounds of one strategy, in this process."""
    identify()
    network = make_model(size, MODELS[size].shapes[0], 10, seed=0)
    model = {key: value.detach().numpy() for key, value in network.state_dict().items()}
    strategy = STRATEGIES[name](count)
    grid: Any = Connected(count)
    first = one_round(strategy, 1, model, grid)
    return {**one_round(strategy, 2, model, grid), "first_seconds": first["seconds"]}


def one_round(
    strategy: Strategy, number: int, model: dict[str, Any], grid: Any
) -> dict[str, float]:
    """Seconds, and MiB of the replies and beside them."""
    sent = ArrayRecord({key: Array(values) for key, values in model.items()})
    asked = list(strategy.configure_train(number, sent, ConfigRecord(), grid))
    replies = Arriving(asked, model)
    forget_peak()
    before = memory("VmRSS")
    began = time.perf_counter()
    arrays, _ = strategy.aggregate_train(number, replies)
    seconds = time.perf_counter() - began - replies.seconds
    peak = memory("VmHWM") - before
    if arrays is None:
        raise RuntimeError(f"{strategy} held the round, so there is nothing to compare")
    size = sum(values.nbytes for values in model.values()) / 2**20
    return {"seconds": seconds, "replies_mib": len(asked) * size, "peak_mib": peak}


def measured(name: str, size: str, count: int, repeats: int) -> dict[str, float]:
    """Medians of a case over processes of their own."""
    words = [sys.executable, __file__, "--case", name, size, str(count)]
    runs = [
        json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
        for _ in range(repeats)
    ]
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def main() -> None:
    """Measure all cases and print a line of JSON for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replies", type=int, nargs="+", default=REPLIES)
    parser.add_argument("--models", nargs="+", choices=SIZES, default=SIZES)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--case", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        name, size, count = options.case
        print(json.dumps(case(name, size, int(count))))
        return
    about = {"torch": torch.__version__, "threads": torch.get_num_threads()}
    for size in options.models:
        for count in options.replies:
            plain: dict[str, float] = {}
            for name in STRATEGIES:
                found = measured(name, size, count, options.repeats)
                plain = plain or found
                ratios = {
                    "seconds_ratio": found["seconds"] / plain["seconds"],
                    "peak_ratio": found["peak_mib"] / plain["peak_mib"],
                }
                line = {"strategy": name, "model": size, "replies": count}
                print(json.dumps({**line, **found, **ratios, **about}), flush=True)


if __name__ == "__main__":
    main()
