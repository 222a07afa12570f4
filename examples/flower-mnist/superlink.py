"""``flower-superlink`` with more patience for its database.

Flower gives up after five seconds if another thread is writing, and tells the SuperNode,
which drops its reply, or the server, which ends. Where processors are short, as when all of
a deployment is on one machine, threads do wait for that long.
"""

from importlib.metadata import entry_points
from typing import Any

from sqlalchemy import event
from sqlalchemy.pool import Pool

SECONDS = 25
"""Flower's clients wait for an answer for 30 seconds."""


def wait_longer(connection: Any, *_: object) -> None:
    """Before a connection is used: Flower has set its own limit when it was made."""
    connection.execute(f"PRAGMA busy_timeout = {int(1000 * SECONDS)}").close()


if __name__ == "__main__":
    event.listen(Pool, "checkout", wait_longer)
    (script,) = entry_points(group="console_scripts", name="flower-superlink")
    script.load()()
