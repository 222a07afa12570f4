"""byzfl: its Client and Server, with its own copy of the same network."""

import sys

import torch
from torch.utils.data import DataLoader, TensorDataset
from workload import BATCH, DECAY, LR, MOMENTUM, asked, shards

TRAINING = {
    "model_name": "cnn_mnist",
    "device": "cpu",
    "optimizer_name": "SGD",
    "optimizer_params": {"momentum": MOMENTUM},
    "learning_rate": LR,
    "weight_decay": DECAY,
    "milestones": [],
    "learning_rate_decay": 1.0,
}
LOCAL = {
    **TRAINING,
    "loss_name": "NLLLoss",
    "LabelFlipping": False,
    "nb_labels": 10,
    "momentum": 0.0,
    "store_per_client_metrics": False,
}


def main() -> None:
    """Rounds as asked, with PyTorch's own number of threads."""
    # byzfl imports torchvision, whose packaged build does not load its operators beside a
    # build of PyTorch for CPUs, and stops where they are missing. None is used here.
    for operator in ("nms", "qnms"):
        torch.library.define(
            f"torchvision::{operator}",
            "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
        )
    from byzfl import Client, Server  # type: ignore[import-not-found]

    loaders = [
        DataLoader(TensorDataset(*shard), batch_size=BATCH, shuffle=True)
        for shard in shards(sys.argv[1])
    ]
    clients = [Client({**LOCAL, "training_dataloader": loader}) for loader in loaders]
    server = Server(
        {
            **TRAINING,
            "test_loader": loaders[0],
            "aggregator_info": {"name": "Average", "parameters": {}},
            "pre_agg_list": [],
        }
    )
    while asked():
        weights = []
        for client, loader in zip(clients, loaders, strict=True):
            client.set_parameters(server.get_flat_parameters())
            client.compute_model_update(len(loader))
            weights.append(client.get_flat_parameters())
        with torch.no_grad():
            server.update_model_with_weights(weights)


if __name__ == "__main__":
    main()
