"""The SuperLink of the example: how long it waits for its database."""

import sqlite3
import time
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from tests.flower.releases import needs_commands

needs_commands()
sqlalchemy: Any = pytest.importorskip("sqlalchemy")
superlink: Any = pytest.importorskip("superlink")
sql_mixin: Any = pytest.importorskip("flwr.supercore.sql_mixin")


@pytest.fixture
def _patient() -> Iterator[None]:
    place = (sqlalchemy.pool.Pool, "checkout", superlink.wait_longer)
    sqlalchemy.event.listen(*place)
    yield
    sqlalchemy.event.remove(*place)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Any]:
    """A database as Flower opens it, without its tables."""

    class Opened(sql_mixin.SqlMixin):  # type: ignore[misc]
        pass

    opened = Opened(str(tmp_path / "state.db"))
    opened._engine = sqlalchemy.create_engine(opened.database_url)
    sqlalchemy.event.listen(opened._engine, "connect", sql_mixin._set_sqlite_pragmas)
    yield opened._engine
    opened._engine.dispose()


def limit(engine: Any) -> int:
    with engine.connect() as connection:
        return int(connection.exec_driver_sql("PRAGMA busy_timeout").scalar())


@pytest.mark.usefixtures("_patient")
def test_it_waits_longer_than_flower_would_with_every_connection(database: Any) -> None:
    with database.connect() as first, database.connect() as second:
        for connection in (first, second):
            found = connection.exec_driver_sql("PRAGMA busy_timeout").scalar()
            assert found == 1000 * superlink.SECONDS
    assert limit(database) == 1000 * superlink.SECONDS


def test_without_it_flower_waits_less(database: Any) -> None:
    assert limit(database) < 1000 * superlink.SECONDS


@pytest.mark.usefixtures("_patient")
def test_a_writer_waits_for_another(
    database: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(superlink, "SECONDS", 0.2)
    with database.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
    holder = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    with (
        pytest.raises(sqlalchemy.exc.OperationalError, match="locked"),
        database.begin() as connection,
    ):
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
    assert 0.1 < time.monotonic() - began < 4
    holder.execute("ROLLBACK")
    holder.close()


def test_flower_still_has_the_command() -> None:
    assert len(entry_points(group="console_scripts", name="flower-superlink")) == 1
