import math

import pytest
import torch

from fedward.engine.evaluate import accuracy, predict, success_rate
from fedward.engine.plan import stamp
from fedward.layout import Layout
from fedward.models import MODELS, make_model
from tests.engine.plans import corner, images
from tests.engine.softmax import CLASSES, SHAPE, Softmax

UNITS = math.prod(SHAPE)


def brightest_of_four() -> torch.Tensor:
    """Parameters with which `Softmax` answers the brightest of the first four pixels."""
    head = torch.zeros(CLASSES, UNITS, dtype=torch.float64)
    head[range(CLASSES), range(CLASSES)] = 1.0
    return torch.cat([head.flatten(), torch.zeros(CLASSES, dtype=torch.float64)])


@pytest.mark.parametrize("batch", [1, 7, 30, 2000])
@pytest.mark.parametrize("workers", [None, 1, 3])
def test_predicts_the_largest_logit_whatever_the_batch(
    batch: int, workers: int | None
) -> None:
    pixels = images(30, SHAPE)
    answers = predict(Softmax(), brightest_of_four(), pixels, batch, workers)
    expected = [max(range(4), key=image.flatten().tolist().__getitem__) for image in pixels]
    assert answers.tolist() == expected


def test_real_models_answer_as_one_batch_does() -> None:
    for name, card in MODELS.items():
        shape = card.shapes[0]
        model = make_model(name, shape, 10, seed=2)
        pixels = images(12, shape)
        with torch.inference_mode():
            expected = model(pixels / 255).argmax(dim=1)
        params = Layout.of(model).flatten(model)
        assert torch.equal(predict(model, params, pixels, 5, workers=2), expected)


def test_params_decide_and_not_what_the_model_held() -> None:
    model = Softmax()
    pixels = images(30, SHAPE)
    zeros = torch.zeros_like(Layout.of(model).flatten(model))
    assert predict(model, zeros, pixels).tolist() == [0] * 30


def test_accuracy_is_the_share_of_right_answers() -> None:
    pixels = images(30, SHAPE)
    labels = predict(Softmax(), brightest_of_four(), pixels)
    labels[:6] = (labels[:6] + 1) % CLASSES
    assert accuracy(Softmax(), brightest_of_four(), pixels, labels) == 24 / 30


def test_success_is_the_share_that_answers_the_target() -> None:
    """The trigger lights pixels 0 and 1; of equals the first class is answered."""
    stamped = stamp(images(30, SHAPE), corner(SHAPE))
    for target, expected in [(0, 1.0), (1, 0.0)]:
        targets = torch.full((30,), target)
        assert success_rate(Softmax(), brightest_of_four(), stamped, targets) == expected


def test_no_images_have_no_share() -> None:
    empty = images(0, SHAPE)
    with pytest.raises(ValueError, match="at least one image"):
        accuracy(Softmax(), brightest_of_four(), empty, torch.zeros(0, dtype=torch.long))
