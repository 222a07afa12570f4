"""pfl-research: federated averaging on its simulated backend, one process."""

import itertools
import sys
from typing import Any

import torch
from pfl.aggregate.simulate import SimulatedBackend  # type: ignore[import-not-found]
from pfl.algorithm.base import NNAlgorithmParams  # type: ignore[import-not-found]
from pfl.algorithm.federated_averaging import FederatedAveraging  # type: ignore[import-not-found]
from pfl.callback.base import TrainingProcessCallback  # type: ignore[import-not-found]
from pfl.data.dataset import Dataset  # type: ignore[import-not-found]
from pfl.data.federated_dataset import FederatedDataset  # type: ignore[import-not-found]
from pfl.hyperparam.base import NNEvalHyperParams, NNTrainHyperParams  # type: ignore[import-not-found]
from pfl.metrics import Metrics  # type: ignore[import-not-found]
from pfl.model.pytorch import PyTorchModel  # type: ignore[import-not-found]
from torch import Tensor
from torch.nn.functional import cross_entropy
from workload import BATCH, CLIENTS, DECAY, LR, MOMENTUM, Net, asked, shards


class Model(Net):
    """The network with the two methods that the framework asks for."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """What a client makes small."""
        return cross_entropy(self(images), labels)

    def metrics(self, images: Tensor, labels: Tensor) -> dict[str, Any]:
        """Nothing: there is no evaluation."""
        return {}


class Turns(TrainingProcessCallback):
    """Stops after the round for which nobody asks."""

    def after_central_iteration(
        self, aggregate_metrics: Metrics, model: Any, *, central_iteration: int
    ) -> tuple[bool, Metrics]:
        """Whether to stop."""
        return not asked(), Metrics()


def main() -> None:
    """Rounds as asked, with PyTorch's own number of threads."""
    data = shards(sys.argv[1])
    turns = itertools.cycle(range(CLIENTS))
    clients = FederatedDataset(
        lambda user: Dataset(raw_data=data[user]), lambda: next(turns)
    )
    model = Model()
    trained = PyTorchModel(
        model,
        lambda params, lr: torch.optim.SGD(
            params, lr=lr, momentum=MOMENTUM, weight_decay=DECAY
        ),
        torch.optim.SGD(model.parameters(), lr=1.0),
    )
    if asked():
        FederatedAveraging().run(
            algorithm_params=NNAlgorithmParams(
                central_num_iterations=10**6,
                evaluation_frequency=10**6,
                train_cohort_size=CLIENTS,
                val_cohort_size=0,
            ),
            backend=SimulatedBackend(training_data=clients, val_data=clients),
            model=trained,
            model_train_params=NNTrainHyperParams(
                local_num_epochs=1, local_learning_rate=LR, local_batch_size=BATCH
            ),
            model_eval_params=NNEvalHyperParams(local_batch_size=BATCH),
            callbacks=[Turns()],
        )


if __name__ == "__main__":
    main()
