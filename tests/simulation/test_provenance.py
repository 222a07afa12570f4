"""Which commit a number names."""

import pytest
import torch

from fedward.simulation import provenance


@pytest.fixture(autouse=True)
def forget() -> None:
    provenance.commit.cache_clear()


def test_a_checkout_knows_its_commit_whatever_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(provenance.VARIABLE, "said")
    monkeypatch.setattr(provenance, "checked_out", lambda: "0123456789ab+")
    assert provenance.commit() == "0123456789ab+"


def test_outside_of_one_it_is_what_is_said_or_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(provenance, "checked_out", lambda: None)
    monkeypatch.delenv(provenance.VARIABLE, raising=False)
    assert provenance.commit() is None
    provenance.commit.cache_clear()
    monkeypatch.setenv(provenance.VARIABLE, "said")
    assert provenance.commit() == "said"


def test_a_gpu_says_what_its_kernels_are_made_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Some Card")
    monkeypatch.setattr(
        provenance, "version", lambda name: {"triton": "3.9.0"}.get(name, "1")
    )
    made_by = provenance.provenance("cuda:1", "stacked")
    assert (made_by["device"], made_by["triton"]) == ("cuda:1 (Some Card)", "3.9.0")
    assert "triton" not in provenance.provenance("cpu", "parallel")
    assert provenance.trainer("parallel", "cpu") == "parallel"
    other = provenance.trainer("stacked", "cuda:0")
    assert other == provenance.trainer("stacked", "cuda:1")
    assert other == "stacked on Some Card, Triton 3.9.0"
