"""Flower's simulation on Ray: two actors with one PyTorch thread each."""

import os
import sys
from collections.abc import Iterable

import torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation
from torch.nn.functional import cross_entropy
from workload import BATCH, CLIENTS, Net, asked, sgd, shards

client = ClientApp()
server = ServerApp()
FILE = os.path.abspath(sys.argv[1])


@client.train()
def train(message: Message, context: Context) -> Message:
    """One epoch over the client's images, which an actor loads once."""
    torch.set_num_threads(1)
    images, labels = shards(FILE)[int(context.node_config["partition-id"])]
    model = Net()
    model.load_state_dict(message.content.array_records["arrays"].to_torch_state_dict())
    optimizer = sgd(model)
    for batch in torch.randperm(len(labels)).split(BATCH):
        optimizer.zero_grad()
        cross_entropy(model(images[batch]), labels[batch]).backward()
        optimizer.step()
    content = RecordDict(
        {
            "arrays": ArrayRecord(model.state_dict()),
            "metrics": MetricRecord({"num-examples": len(labels)}),
        }
    )
    return Message(content=content, reply_to=message)


class Complete(FedAvg):
    """Refuses a round in which a client failed, which costs less than one that trained."""

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """The mean of all clients' models."""
        replies = list(replies)
        trained = sum(reply.has_content() for reply in replies)
        if trained < CLIENTS:
            raise RuntimeError(f"{CLIENTS} clients have to train, {trained} did")
        return super().aggregate_train(server_round, replies)


@server.main()
def main(grid: Grid, context: Context) -> None:
    """Rounds as asked."""
    strategy = Complete(
        fraction_train=1.0, fraction_evaluate=0.0, min_available_nodes=CLIENTS
    )
    arrays = ArrayRecord(Net().state_dict())
    while asked():
        arrays = strategy.start(grid=grid, initial_arrays=arrays, num_rounds=1).arrays


if __name__ == "__main__":
    run_simulation(
        server_app=server,
        client_app=client,
        num_supernodes=CLIENTS,
        backend_config={
            "init_args": {"num_cpus": 2, "include_dashboard": False},
            "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
        },
    )
