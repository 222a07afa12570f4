from dataclasses import replace
from io import StringIO

from rich.console import Console

from fedward.cli.show import round_table, verdict_table
from fedward.simulation.records import RoundRecord, from_lines
from tests.simulation.small import record

KNOWN = record(3, [True, True, False], [True, False, False])
BLIND = replace(
    KNOWN,
    attacked=None,
    clients=tuple(replace(client, malicious=None) for client in KNOWN.clients),
)


def test_lines_are_read_back() -> None:
    for made in (KNOWN, BLIND):
        lines = [client.to_line() for client in made.clients]
        assert from_lines(made.to_line(), lines) == made


def test_what_nobody_knows_is_none_not_zero() -> None:
    names = ("attacked", "attackers", "admitted_attackers", "rejected_benign")
    assert [KNOWN.to_line()[name] for name in names] == [True, 2, 1, 1]
    assert [BLIND.to_line()[name] for name in names] == [None] * 4
    assert (KNOWN.rejected, BLIND.rejected) == (2, 2)


def shown(made: RoundRecord) -> str:
    page = StringIO()
    console = Console(file=page, width=200)
    console.print(verdict_table(made), round_table([made]))
    return page.getvalue()


def test_show_calls_nobody_honest_whom_nobody_knows() -> None:
    assert shown(KNOWN).count("attacker ") >= 2
    blind = shown(BLIND)
    assert blind.count("unknown") == 3
    assert "attacker " not in blind
    assert "honest " not in blind.replace("honest out", "")
    assert "2/3" in blind
