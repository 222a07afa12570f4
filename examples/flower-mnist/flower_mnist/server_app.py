"""The server: Flower's FedAvg with a defence in front."""

import logging
import time

from flwr.app import ArrayRecord, Context, MetricRecord
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from fedward.flower import Defended
from fedward.simulation.measure import measure
from flower_mnist.task import prepare

app = ServerApp()
log = logging.getLogger("fedward")
log.addHandler(logging.StreamHandler())
log.setLevel(logging.INFO)


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the rounds that are left."""
    config = context.run_config
    fed = prepare(config)
    wait_for_nodes(grid, int(config["clients"]), float(config["patience"]))
    nodes = frozenset(int(node) for node in str(config["drill"]).split())
    strategy = Defended(
        FedAvg(fraction_evaluate=0.0, min_train_nodes=4, min_available_nodes=4),
        defense=fed.config.defense,
        folder=str(config["folder"]) or None,
        seed=fed.config.seed,
        attackers=nodes or None,
    )

    def evaluate(server_round: int, arrays: ArrayRecord) -> MetricRecord:
        """Accuracy and success of the backdoor, on the server's own test images."""
        params = fed.layout.flatten(arrays.to_torch_state_dict())
        accuracy, success = measure(fed.model, params, fed.data.test, fed.probes[:1])
        figures = {"accuracy": accuracy, "asr whole": success["whole"]}
        log.info("round %d: %s", server_round, figures)
        return MetricRecord({**figures})

    strategy.start(
        grid,
        ArrayRecord(fed.model.state_dict()),
        num_rounds=fed.config.rounds,
        timeout=float(config["patience"]),
        evaluate_fn=evaluate,
    )


def wait_for_nodes(grid: Grid, count: int, patience: float) -> None:
    """Until so many have connected, or for so many seconds: some may never come."""
    deadline = time.monotonic() + patience
    while len(list(grid.get_node_ids())) < count and time.monotonic() < deadline:
        time.sleep(0.5)
