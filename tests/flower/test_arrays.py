import io
import tracemalloc
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from flwr.app import Array, ArrayRecord
from hypothesis import given, strategies as st
from numpy.lib import format as npy
from numpy.typing import NDArray

from fedward.flower.arrays import GlobalModel, Refused, combine, decode
from tests.flower.grid import arrays_of, record

MODEL: dict[str, NDArray[Any]] = {
    "conv.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "norm.running_mean": np.array([0.5, 1.5], np.float32),
    "norm.num_batches_tracked": np.array(7, np.int64),
    "conv.bias": np.array([-1.0, 2.0], np.float32),
}
FLOAT = np.dtype(np.float32)


def raw(data: bytes, stype: str = "numpy.ndarray") -> Array:
    """What is claimed beside the data does not count."""
    return Array(dtype="float32", shape=(2, 3), stype=stype, data=data)


def saved(values: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, **options)
    return buffer.getvalue()


class TestGlobalModel:
    def test_parameters_are_the_floating_point_arrays_that_are_no_buffers(self) -> None:
        model = GlobalModel.of(record(MODEL))
        assert model.layout.names == ("conv.weight", "conv.bias")
        assert model.layout.shapes == ((2, 3), (2,))
        assert model.params.tolist() == [0, 1, 2, 3, 4, 5, -1, 2]
        assert list(model.buffers) == ["norm.running_mean", "norm.num_batches_tracked"]

    def test_names_of_buffers_can_be_chosen(self) -> None:
        model = GlobalModel.of(record(MODEL), ["conv.b*"])
        assert model.layout.names == ("conv.weight", "norm.running_mean")

    def test_a_model_without_parameters_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"floating-point parameter, got arrays steps"):
            GlobalModel.of(record({"steps": np.array(3)}))

    def test_update_is_local_minus_global_and_moving_by_it_gives_the_local_model(
        self,
    ) -> None:
        model = GlobalModel.of(record(MODEL))
        local: dict[str, NDArray[Any]] = {
            name: values + 2 for name, values in MODEL.items()
        }
        arrays = model.decode(record(local))
        row = torch.full((8,), torch.nan)
        model.write_update(arrays, row)
        assert row.tolist() == [2.0] * 8
        moved = model.moved(row, {name: arrays[name] for name in model.buffers})
        assert list(moved) == list(MODEL)
        for name, values in arrays_of(moved).items():
            np.testing.assert_array_equal(values, local[name])
            assert values.dtype == MODEL[name].dtype
            assert values.shape == MODEL[name].shape

    @pytest.mark.parametrize("dtype", ["float16", "float64", ">f4"])
    def test_every_floating_type_comes_back_as_it_went(self, dtype: str) -> None:
        model = GlobalModel.of(record({"w": np.array([0.25, -1.5], dtype)}))
        moved = arrays_of(model.moved(torch.tensor([0.5, 0.5], dtype=model.params.dtype)))
        assert moved["w"].tolist() == [0.75, -1.0]
        assert moved["w"].dtype == np.dtype(dtype)

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"conv.bias": None}, "array 'conv.bias' is missing"),
            (
                {"conv.bias": None, "bias": MODEL["conv.bias"]},
                "array 'conv.bias' is missing",
            ),
            ({"extra": np.zeros(1)}, "5 arrays, the model has 4"),
            ({"conv.bias": np.zeros(3, np.float32)}, r"needs shape \(2,\), got \(3,\)"),
            ({"conv.bias": np.zeros(2)}, "needs type float32, got float64"),
            ({"conv.bias": np.zeros(2, ">f4")}, "needs type float32, got >f4"),
            ({"norm.num_batches_tracked": np.array(7, np.int32)}, "needs type int64"),
        ],
    )
    def test_a_record_that_is_not_the_models_is_refused(
        self, change: dict[str, Any], reason: str
    ) -> None:
        arrays = {k: v for k, v in {**MODEL, **change}.items() if v is not None}
        with pytest.raises(Refused, match=reason):
            GlobalModel.of(record(MODEL)).decode(record(arrays))

    def test_an_empty_record_is_refused(self) -> None:
        with pytest.raises(Refused, match="missing"):
            GlobalModel.of(record(MODEL)).decode(ArrayRecord())


class TestDecode:
    @pytest.mark.parametrize("order", ["C", "F"])
    def test_gives_what_was_saved(self, order: Any) -> None:
        values = np.array([[1.0, 2, 3], [4, 5, 6]], np.float32, order=order)
        found = decode("w", raw(saved(values)), FLOAT, (2, 3))
        np.testing.assert_array_equal(found, values)

    def test_pickles_are_not_opened(self) -> None:
        class Bomb:
            def __reduce__(self) -> Any:
                return (pytest.fail, ("the pickle was opened",))

        with pytest.raises(Refused, match="needs type float32, got object"):
            decode("w", raw(saved(np.array([Bomb()]), allow_pickle=True)), FLOAT, (1,))

    def test_archives_are_not_opened(self) -> None:
        buffer = io.BytesIO()
        np.savez(buffer, w=np.zeros(2, np.float32))
        with pytest.raises(Refused, match="not in NumPy's format"):
            decode("w", raw(buffer.getvalue()), FLOAT, (2,))

    def test_a_header_that_promises_too_much_costs_nothing(self) -> None:
        header = io.BytesIO()
        claim = {"descr": "<f4", "fortran_order": False, "shape": (1 << 40,)}
        npy.write_array_header_1_0(header, claim)
        tracemalloc.start()
        with pytest.raises(Refused, match="needs shape"):
            decode("w", raw(header.getvalue()), FLOAT, (2, 3))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
        tracemalloc.stop()

    @pytest.mark.parametrize("cut", [-1, 1])
    def test_data_are_held_to_the_last_byte(self, cut: int) -> None:
        data = saved(np.zeros((2, 3), np.float32))
        data = data[:cut] if cut < 0 else data + b"\0"
        with pytest.raises(Refused, match=r"has \d+ bytes, needs 24"):
            decode("w", raw(data), FLOAT, (2, 3))

    def test_an_oversize_array_is_refused_before_its_header_is_read(self) -> None:
        with pytest.raises(Refused, match="has 9999 bytes, 24 are its own"):
            decode("w", raw(b"x" * 9999), FLOAT, (2, 3))

    def test_other_formats_are_refused(self) -> None:
        data = saved(np.zeros((2, 3), np.float32))
        with pytest.raises(Refused, match="not in NumPy's format"):
            decode("w", raw(data, stype="torch.pickle"), FLOAT, (2, 3))

    @given(st.binary(max_size=300))
    def test_any_bytes_are_refused_and_nothing_else_happens(self, data: bytes) -> None:
        with pytest.raises(Refused):
            decode("w", raw(data), FLOAT, (2, 3))

    @given(st.data())
    def test_any_damage_is_refused_or_harmless(self, data: st.DataObject) -> None:
        whole = bytearray(saved(np.ones((2, 3), np.float32)))
        for _ in range(data.draw(st.integers(1, 4))):
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(
                st.integers(0, 255)
            )
        try:
            found = decode("w", raw(bytes(whole)), FLOAT, (2, 3))
        except Refused:
            return
        assert found.shape == (2, 3)
        assert found.dtype == FLOAT


class TestCombine:
    KEPT: Mapping[str, NDArray[Any]] = {
        "mean": np.zeros(2, np.float32),
        "steps": np.array(3, np.int64),
    }

    def test_is_the_median_of_every_entry(self) -> None:
        """Of 1, 3, 90 and of 2, 6, -50; the middle two's mean of 1 and 3."""
        accepted: list[dict[str, NDArray[Any]]] = [
            {"mean": np.array([1, 2], np.float32), "steps": np.array(5)},
            {"mean": np.array([3, 6], np.float32), "steps": np.array(4)},
            {"mean": np.array([90, -50], np.float32), "steps": np.array(10**9)},
        ]
        combined = combine(accepted, self.KEPT)
        assert combined["mean"].tolist() == [3, 2]
        assert combined["mean"].dtype == np.float32
        assert combined["steps"] == 5
        assert combined["steps"].dtype == np.int64
        assert combined["steps"].shape == ()
        assert combine(accepted[:2], self.KEPT)["mean"].tolist() == [2, 4]
        assert combine(accepted[:2], self.KEPT)["steps"] == 4

    @given(st.data())
    def test_a_minority_does_not_leave_the_range_of_the_others(
        self, data: st.DataObject
    ) -> None:
        honest = data.draw(st.lists(st.integers(-9, 9), min_size=1, max_size=6))
        wild = st.integers(-(10**9), 10**9)
        forged = data.draw(st.lists(wild, max_size=len(honest) - 1))
        accepted = [
            {"mean": np.full(2, value, np.float32), "steps": np.array(value)}
            for value in data.draw(st.permutations(honest + forged))
        ]
        combined = combine(accepted, self.KEPT)
        for entry in (*combined["mean"], combined["steps"]):
            assert min(honest) <= entry <= max(honest)

    def test_nobody_accepted_keeps_them(self) -> None:
        kept = {"steps": np.array(3, np.int64)}
        assert combine([], kept) == kept
