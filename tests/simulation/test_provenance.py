"""Which commit a number names."""

import pytest

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
