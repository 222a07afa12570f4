"""FedAvg with Fedward in front, and the server's own measurements."""

import time

from flwr.app import Array, ArrayRecord, Context, MetricRecord
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from fedward.flower import Defended
from lab.training import measured, untrained

app = ServerApp()


def evaluate(server_round: int, arrays: ArrayRecord) -> MetricRecord:
    return MetricRecord({**measured({name: a.numpy() for name, a in arrays.items()})})


@app.main()
def main(grid: Grid, context: Context) -> None:
    config = context.run_config
    deadline = time.monotonic() + float(config["patience"])
    while len(list(grid.get_node_ids())) < int(config["clients"]):
        if time.monotonic() > deadline:
            break
        time.sleep(0.5)
    strategy = Defended(
        FedAvg(fraction_evaluate=0.0, min_train_nodes=4, min_available_nodes=4),
        folder=str(config["folder"]),
    )
    strategy.start(
        grid,
        ArrayRecord({name: Array(values) for name, values in untrained().items()}),
        num_rounds=int(config["rounds"]),
        timeout=float(config["patience"]),
        evaluate_fn=evaluate,
    )
