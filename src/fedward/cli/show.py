"""``fedward show``: what a run folder holds, without a browser."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

KINDS = {True: "attacker", False: "honest", None: "unknown"}


def show(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    round: Annotated[
        int | None, typer.Option(help="Every client's verdict in this round, from 0.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show the rounds of a run, or the verdicts of one round."""
    from rich.console import Console

    from fedward.report.runs import read_run
    from fedward.simulation.folder import RunFolder

    # It checks every field of every line, and names the one that is wrong.
    seen = read_run(run)
    folder = RunFolder(run)
    records = folder.records()
    if round is not None and not any(r.round == round for r in records):
        held = f"rounds 0 to {len(records) - 1}" if records else "no finished round"
        raise ValueError(f"{run} has {held}, got {round}")
    if as_json:
        lines = [r.to_line() for r in records]
        verdicts = [c.to_line() for r in records if r.round == round for c in r.clients]
        found = {"result": folder.finished(), "rounds": lines}
        print(json.dumps(verdicts if round is not None else found, indent=2))
        return
    console = Console()
    if round is not None:
        console.print(verdict_table(next(r for r in records if r.round == round)))
        return
    console.print(round_table(records))
    result = folder.finished()
    state = "finished" if result else f"unfinished: {len(records)} of {seen.planned} rounds"
    console.print(f"{run}: {state}", highlight=False)


def round_table(records: list[Any]) -> Any:
    """One row a round."""
    from rich.table import Table

    from fedward.cli.progress import percent

    table = Table(
        "round", "MA", "ASR", "attackers in", "honest out", "rejected", "eps", "bound", "s"
    )
    for record in records:
        honest = len(record.judged) - record.attackers
        table.add_row(
            str(record.round),
            percent(record.ma),
            percent(next(iter(record.asr.values()), None)),
            f"{record.admitted_attackers}/{record.attackers}" if record.attackers else "-",
            "-" if record.attacked is None else f"{record.rejected_benign}/{honest}",
            f"{record.rejected}/{len(record.judged)}" + (" held" if record.held else ""),
            number(record.facts.get("eps")),
            number(record.facts.get("bound")),
            f"{sum(record.seconds.values()):.1f}",
        )
    return table


def verdict_table(record: Any) -> Any:
    """One row a client, the accepted first, then by distance."""
    from rich.table import Table

    table = Table(
        "client",
        "is",
        "verdict",
        "norm",
        "factor",
        "distance",
        "reach",
        "reason",
        title=f"Round {record.round}",
    )

    def order(client: Any) -> tuple[bool, float]:
        return not client.verdict.accepted, client.verdict.distance or 0.0

    for client in sorted(record.clients, key=order):
        verdict = client.verdict
        table.add_row(
            str(client.client),
            KINDS[client.malicious],
            "accepted" if verdict.accepted else "rejected",
            number(verdict.norm),
            number(verdict.factor),
            number(verdict.distance),
            number(verdict.reachability),
            verdict.reason,
        )
    return table


def number(value: float | None) -> str:
    """Four significant digits, a dash where undefined."""
    return "-" if value is None else f"{value:.4g}"
