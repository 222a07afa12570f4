from dataclasses import replace
from pathlib import Path

from fedward.report.runs import RunView, read_run
from fedward.report.summary import about, cards, headline
from fedward.report.tables import percent, share
from tests.report.folders import Case, write_run


def test_headline_contrasts_the_weakest_and_the_strongest(
    runs: list[RunView], labels: list[str]
) -> None:
    weak, strong = runs[1], runs[2]
    high, low = (share(run, "aasr") or 0.0 for run in (weak, strong))
    assert high > 0.5 > low
    assert headline(runs, labels) == [
        f"The backdoor works on {percent(high)} of the triggered images with fedavg and on "
        f"{percent(low)} with fedward; they classify "
        f"{percent(share(weak, 'ma_final'))} and {percent(share(strong, 'ma_final'))} "
        "of the clean images correctly.",
        "A model that nobody attacked gives the attacker's answer on "
        f"{percent(share(runs[0], 'aasr'))} of the same images: that is the floor.",
        f"fedward admitted {percent(share(strong, 'aer'))} of the attackers' updates and "
        f"turned away {percent(share(strong, 'brr'))} of the honest ones.",
    ]


def test_headline_compares_within_one_federation(
    runs: list[RunView], labels: list[str]
) -> None:
    """Another seed has another floor, however well a defence did there."""
    strong = runs[2]
    assert strong.result is not None
    result = replace(strong.result, metrics={**strong.result.metrics, "aasr": 0.0})
    other = replace(strong, config={**strong.config, "seed": 1}, result=result)
    first, *rest = headline([*runs, other], [*labels, "fedward, seed 1"])
    assert first.startswith("There are 2 attacked federations here")
    assert rest == headline(runs, labels)


def test_headline_of_one_run(runs: list[RunView]) -> None:
    said = headline([runs[1]], ["mine"])
    assert said == [
        f"Under dba the backdoor works on {percent(share(runs[1], 'aasr'))} of the "
        f"triggered images with mine, which classifies "
        f"{percent(share(runs[1], 'ma_final'))} of the clean ones correctly."
    ]


def test_headline_without_an_attack(runs: list[RunView]) -> None:
    assert headline([runs[0]], ["a"]) == [
        f"Accuracy on clean test images: a {percent(share(runs[0], 'ma_final'))}."
    ]


def test_headline_names_unfinished_runs(tmp_path: Path, runs: list[RunView]) -> None:
    live = read_run(write_run(tmp_path / "x", Case(name="x", done=12)))
    assert headline([live], ["x"]) == ["Still to finish: x (12 of 30 rounds)."]
    assert (
        headline([runs[1], live], ["a", "x"])[-1] == "Still to finish: x (12 of 30 rounds)."
    )


def test_about_names_what_runs_share(runs: list[RunView]) -> None:
    assert about(runs) == (
        "3 runs · on mnist-small · model mnistnet · partition dirichlet · attack dba"
    )
    assert about(runs[:1]).endswith("· no attack")
    assert about([replace(runs[0], config={})]) == "1 run · no attack"


def test_cards_carry_the_stored_numbers(runs: list[RunView], labels: list[str]) -> None:
    made = cards(runs, labels)
    assert [card.label for card in made] == labels
    for card, run in zip(made, runs, strict=True):
        success, accuracy, admitted, rejected = (cell.text for _, cell in card.numbers)
        assert success == percent(share(run, "aasr"))
        assert accuracy == percent(share(run, "ma_final"))
        assert (admitted, rejected) == (
            percent(share(run, "aer")),
            percent(share(run, "brr")),
        )
    assert [card.about for card in made] == [
        "fedavg against no attack",
        "fedavg against dba",
        "fedward against dba",
    ]
    assert made[0].numbers[0][0] == "Attacker's answer anyway"
    assert made[2].numbers[0][1].note == f"floor {percent(share(runs[0], 'aasr'))}"


def test_card_of_an_unfinished_run(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "x", Case(name="x", done=12)))
    (card,) = cards([run], ["x"])
    assert card.about == "fedward against dba, unfinished: 12 of 30 rounds"
    assert card.numbers[0] == (
        "Attack success, last",
        type(card.numbers[0][1])(percent(run.rounds[-1].asr["whole"])),
    )
