"""The models that federations train: the paper's two, a residual network, and a small one.

MnistNet and CifarNet are the networks of the Fedward paper's experiment (Chen et al., ICME
2023, https://doi.org/10.1109/ICME55011.2023.00067); ResNet-18 is He et al., *Deep residual
learning for image recognition*, CVPR 2016, https://arxiv.org/abs/1512.03385.

Deviations: no final log-softmax, because the loss applies it (applying it twice changes
nothing); ReLU stands behind max-pooling, which gives the same numbers for less work (the
largest of the rectified values is the rectified largest value); the residual network
normalises over groups (Wu and He, 2018, https://arxiv.org/abs/1803.08494), because running
statistics would not be parameters and would leave the round unscreened.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu

from fedward.engine.network import Network
from fedward.seeds import derive
from fedward.settings import lookup

Shape = tuple[int, int, int]


class MnistNet(Network):
    """Two convolutions and two linear layers for 1x28x28 images."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 20, 5)
        self.conv2 = nn.Conv2d(20, 50, 5)
        self.fc1 = nn.Linear(50 * 4 * 4, 500)
        self.fc2 = nn.Linear(500, classes)

    def forward(
        self,
        images: Float[Tensor, "batch channels height width"],
        keep: Sequence[Float[Tensor, "batch _"]] = (),
    ) -> Float[Tensor, "batch classes"]:
        """Logits."""
        hidden = relu(max_pool2d(self.conv1(images), 2))
        hidden = relu(max_pool2d(self.conv2(hidden), 2))
        hidden = relu(self.fc1(hidden.flatten(1)))
        logits: Tensor = self.fc2(hidden)
        return logits


class Perceptron(Network):
    """One hidden layer of 32 units: for many runs, a few milliseconds a client."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels * 28 * 28, 32)
        self.fc2 = nn.Linear(32, classes)

    def forward(
        self,
        images: Float[Tensor, "batch channels height width"],
        keep: Sequence[Float[Tensor, "batch _"]] = (),
    ) -> Float[Tensor, "batch classes"]:
        """Logits."""
        logits: Tensor = self.fc2(relu(self.fc1(images.flatten(1))))
        return logits


class CifarNet(Network):
    """Two convolutions with local response normalisation, three linear layers, dropout."""

    dropout = (64 * 8 * 8, 384)

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 64, 5, padding=2)
        self.norm = nn.LocalResponseNorm(2)
        self.conv2 = nn.Conv2d(64, 64, 5, padding=2)
        self.fc1 = nn.Linear(64 * 8 * 8, 384)
        self.fc2 = nn.Linear(384, 192)
        self.fc3 = nn.Linear(192, classes)

    def forward(
        self,
        images: Float[Tensor, "batch channels height width"],
        keep: Sequence[Float[Tensor, "batch _"]] = (),
    ) -> Float[Tensor, "batch classes"]:
        """Logits; ``keep`` holds the masks of the inputs of the first two linear layers."""
        hidden = relu(max_pool2d(self.conv1(images), 3, stride=2, padding=1))
        hidden = relu(self.conv2(self.norm(hidden)))
        hidden = max_pool2d(self.norm(hidden), 3, stride=2, padding=1)
        first, second = keep or (1.0, 1.0)
        hidden = relu(self.fc1(hidden.flatten(1) * first))
        hidden = relu(self.fc2(hidden * second))
        logits: Tensor = self.fc3(hidden)
        return logits


class Residual(nn.Module):
    """Two convolutions added to their own input."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        self.norm1 = nn.GroupNorm(GROUPS, width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.GroupNorm(GROUPS, width)
        self.shortcut = (
            nn.Identity()
            if stride == 1
            else nn.Sequential(
                nn.Conv2d(channels, width, 1, stride, bias=False),
                nn.GroupNorm(GROUPS, width),
            )
        )

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch outputs rows columns"]:
        """Features."""
        hidden = relu(self.norm1(self.conv1(images)))
        return relu(self.norm2(self.conv2(hidden)) + self.shortcut(images))


GROUPS = 32
"""Groups of every normalisation, the default of Wu and He."""

STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))
"""Width and first stride of the four stages of two residual blocks."""


class ResNet18(Network):
    """ResNet-18 for small images: a 3x3 stem and no first pooling."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, STAGES[0][0], 3, padding=1, bias=False)
        self.norm = nn.GroupNorm(GROUPS, STAGES[0][0])
        blocks, width = [], STAGES[0][0]
        for wider, stride in STAGES:
            blocks += [Residual(width, wider, stride), Residual(wider, wider, 1)]
            width = wider
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(width, classes)

    def forward(
        self,
        images: Float[Tensor, "batch channels height width"],
        keep: Sequence[Float[Tensor, "batch _"]] = (),
    ) -> Float[Tensor, "batch classes"]:
        """Logits."""
        hidden = self.blocks(relu(self.norm(self.stem(images))))
        logits: Tensor = self.head(hidden.mean(dim=(2, 3)))
        return logits


@dataclass(frozen=True)
class ModelCard:
    """What a reader needs to choose a model.

    Attributes:
        source: where the architecture is described.
        shapes: channels, height and width of the images that it takes.
        params: entries of an update, for images of the first shape and ten classes.
        build: makes the network from the number of channels and of classes.
    """

    title: str
    source: str
    shapes: tuple[Shape, ...]
    params: int
    build: Callable[[int, int], Network]


MODELS: Mapping[str, ModelCard] = MappingProxyType(
    {
        "mnistnet": ModelCard(
            title="two convolutions (20, 50) and a hidden layer of 500",
            source="https://doi.org/10.1109/ICME55011.2023.00067",
            shapes=((1, 28, 28),),
            params=431_080,
            build=MnistNet,
        ),
        "perceptron": ModelCard(
            title="a hidden layer of 32, for many runs in little time",
            source="https://doi.org/10.1038/323533a0",
            shapes=((1, 28, 28),),
            params=25_450,
            build=Perceptron,
        ),
        "cifarnet": ModelCard(
            title="two convolutions (64, 64), response normalisation, dropout",
            source="https://doi.org/10.1109/ICME55011.2023.00067",
            shapes=((3, 32, 32),),
            params=1_756_426,
            build=CifarNet,
        ),
        "resnet18": ModelCard(
            title="ResNet-18 with group normalisation",
            source="https://arxiv.org/abs/1512.03385",
            shapes=((3, 32, 32), (1, 28, 28)),
            params=11_173_962,
            build=ResNet18,
        ),
    }
)


GENERATOR = Lock()
"""Whose turn it is with PyTorch's global generator; runs may begin on several threads."""


def make_model(name: str, shape: Shape, classes: int, seed: int) -> Network:
    """A network with PyTorch's default initialisation, drawn from ``(seed, "model")``.

    The initialisers of PyTorch know only the global generator, so it is seeded here and
    put back as it was.

    Args:
        name: a name in `MODELS`.
        shape: channels, height and width of the images.
        classes: answers, at least two.
        seed: the run's seed.

    Raises:
        UnknownName: if there is no such model.
        ValueError: if the model does not take such images, or there are too few classes.
    """
    card = lookup("model", name, MODELS)
    if tuple(shape) not in card.shapes:
        takes = " or ".join("x".join(map(str, known)) for known in card.shapes)
        got = "x".join(map(str, shape))
        raise ValueError(f"{name} takes images of {takes}, got {got}")
    if classes < 2:
        raise ValueError(f"{name} needs at least 2 classes, got {classes}")
    with GENERATOR, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive(seed, "model"))
        return card.build(shape[0], classes)
