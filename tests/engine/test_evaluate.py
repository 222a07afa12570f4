import math

import pytest
import torch

from fedward.engine.evaluate import answers, box, finite_or, patches_only, whole_images
from fedward.engine.plan import Trigger, stamp
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
def test_answers_the_largest_logit_whatever_the_batch(
    batch: int, workers: int | None
) -> None:
    """The trigger lights pixels 0 and 1; of equals the first class is answered."""
    pixels = images(30, SHAPE)
    clean, lit = answers(
        Softmax(), brightest_of_four(), pixels, [corner(SHAPE)], batch, workers
    )
    expected = [max(range(4), key=image.flatten().tolist().__getitem__) for image in pixels]
    assert clean.tolist() == expected
    assert lit.tolist() == [0] * 30


@pytest.mark.parametrize("name", sorted(MODELS))
def test_real_models_answer_as_one_batch_does(name: str) -> None:
    """Whether they can be followed through patches or not; every trigger in its row."""
    shape = MODELS[name].shapes[0]
    model = make_model(name, shape, 10, seed=2)
    pixels = images(5, shape)
    middle = Trigger(corner(shape).mask.roll((9, 14), (1, 2)), corner(shape).value)
    triggers = [corner(shape), middle]
    with torch.inference_mode():
        asked = [pixels, *(stamp(pixels, trigger) for trigger in triggers)]
        expected = torch.stack([model(each / 255).argmax(dim=1) for each in asked])
    params = Layout.of(model).flatten(model)
    assert torch.equal(answers(model, params, pixels, triggers, 3, workers=2), expected)


def test_params_decide_and_not_what_the_model_held() -> None:
    model = Softmax()
    pixels = images(30, SHAPE)
    zeros = torch.zeros_like(Layout.of(model).flatten(model))
    assert answers(model, zeros, pixels).tolist() == [[0] * 30]


def test_a_model_that_overflows_answers_as_the_plain_one_does() -> None:
    """Infinite sums, whose differences are no numbers."""
    model = make_model("mnistnet", (1, 28, 28), 10, seed=2)
    with torch.no_grad():
        model.get_parameter("fc1.weight")[:, 0] = torch.inf
    pixels, triggers = images(6, (1, 28, 28)), [corner((1, 28, 28))]
    plain = whole_images(model, triggers)
    with torch.inference_mode():
        assert not patches_only(model, triggers)(pixels).isfinite().all()
        quick = finite_or(patches_only(model, triggers), plain)(pixels)
        assert torch.equal(quick.argmax(dim=2), plain(pixels).argmax(dim=2))


def test_the_box_of_a_trigger_is_the_smallest_one() -> None:
    mask = torch.zeros(2, 8, 9, dtype=torch.bool)
    mask[0, 3, 2] = mask[1, 5, 7] = True
    value = torch.zeros(2, 8, 9, dtype=torch.uint8)
    assert box(Trigger(mask, value)) == (slice(3, 6), slice(2, 8))
    nothing = Trigger(torch.zeros_like(mask), value)
    assert box(nothing) == (slice(0, 1), slice(0, 1))
