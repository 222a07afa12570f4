from collections import Counter
from dataclasses import replace

from fedward.report.runs import RunView, VerdictView
from fedward.report.verdicts import (
    OUTCOMES,
    details,
    held_rounds,
    order_clients,
    verdict_map,
)


def cells_of(run: RunView) -> dict[tuple[int, int], str]:
    """Round and client of every cell, read back from where it is drawn, and its outcome."""
    figure = verdict_map(run)
    assert figure is not None
    clients = [client for client, _ in order_clients(run.verdicts)]
    cells = {}
    for trace in figure.data[: len(OUTCOMES)]:
        for number, base, height in zip(trace.x, trace.base, trace.y, strict=True):
            cells[number, clients[round(base + height / 2)]] = trace.name
    return cells


def test_every_verdict_is_one_cell_in_its_place(runs: list[RunView]) -> None:
    for run in runs:
        cells = cells_of(run)
        assert len(cells) == len(run.verdicts)
        for verdict in run.verdicts:
            who = "attacker" if verdict.malicious else "honest"
            done = "admitted" if verdict.malicious else "accepted"
            expected = f"{who}, {done if verdict.accepted else 'rejected'}"
            assert cells[verdict.round, verdict.client] == expected


def test_cells_agree_with_the_counts_of_the_rounds(runs: list[RunView]) -> None:
    outcomes = Counter(cells_of(runs[2]).values())
    records = runs[2].rounds
    assert outcomes["attacker, admitted"] == sum(r.admitted_attackers or 0 for r in records)
    assert outcomes["honest, rejected"] == sum(r.rejected_benign or 0 for r in records)
    assert outcomes["attacker, rejected"] > 90


def test_attackers_are_on_top_marked_and_hatched(runs: list[RunView]) -> None:
    figure = verdict_map(runs[2])
    assert figure is not None
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]
    names = [f"<b>attacker {client}</b>" for client in range(4)]
    assert list(figure.layout.yaxis.ticktext[:5]) == [*names, "4"]
    hatched = [trace.marker.pattern.shape for trace in figure.data[: len(OUTCOMES)]]
    assert hatched == ["", "", "/", "/"]


def test_cells_know_who_and_why(runs: list[RunView]) -> None:
    figure = verdict_map(runs[2])
    assert figure is not None
    told = {
        tuple(row) for trace in figure.data[: len(OUTCOMES)] for row in trace.customdata
    }
    assert told == {tuple(details(verdict)) for verdict in runs[2].verdicts}


def test_details_are_text_with_dashes_and_no_markup() -> None:
    verdict = VerdictView(
        round=3,
        client=7,
        malicious=True,
        accepted=False,
        reason="<i>odd</i>",
        norm=1.23456,
        rarity=None,
    )
    assert details(verdict) == ["7", "&lt;i&gt;odd&lt;/i&gt;", "1.235", *"–––––"]  # noqa: RUF001


def test_begin_and_held_rounds_are_marked(runs: list[RunView]) -> None:
    figure = verdict_map(runs[2])
    assert figure is not None
    held, begin = figure.data[len(OUTCOMES) :]
    assert list(held.x) == [11, 12]
    assert list(begin.x) == [4.5, 4.5]
    quiet = verdict_map(runs[0])
    assert quiet is not None
    assert len(quiet.data) == len(OUTCOMES)


def test_held_rounds_are_told_by_reason(runs: list[RunView]) -> None:
    whys = {0: "b", 1: "b", 3: "b", 4: "a", 8: "b"}
    rounds = tuple(replace(r, held=whys.get(r.round)) for r in runs[2].rounds)
    assert held_rounds(replace(runs[2], rounds=rounds)) == [("a", "4"), ("b", "0-1, 3, 8")]


def test_a_run_without_verdicts_has_no_map(runs: list[RunView]) -> None:
    assert verdict_map(replace(runs[2], verdicts=())) is None


def test_many_clients_are_not_all_named(runs: list[RunView]) -> None:
    crowd = tuple(
        VerdictView(
            round=number, client=client, malicious=False, accepted=True, reason="fine"
        )
        for number in range(3)
        for client in range(400)
    )
    figure = verdict_map(replace(runs[0], verdicts=crowd))
    assert figure is not None
    assert len(figure.layout.yaxis.ticktext) == 50
    assert figure.layout.height < 1400
