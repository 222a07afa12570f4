"""``fedward run``: one configuration, or several defences side by side."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

RUN_HELP = """Train a federation under attack, defend it, and report what happened.

Several defences run one after another on the same data, clients and attackers, and are
compared in one table and one report. A run in which nobody attacks comes first: its success
rate is the floor. A finished run is not run again; --resume goes on with an unfinished one.

Examples:

  fedward run --preset demo

  fedward run --preset paper-mnist --nir 50 --pdr 31.25 --defense fedavg,fedward

  fedward run --preset demo --defense fedward:eps=kth --set attackers.count=3
"""


def run(
    preset: Annotated[
        str | None,
        typer.Option(help="Start from a ready configuration, see 'fedward list'."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="A TOML file laid over the preset.")
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Data set.")] = None,
    model: Annotated[str | None, typer.Option(help="Model.")] = None,
    attack: Annotated[
        str | None, typer.Option(help="Attack, as name or name:option=value:...")
    ] = None,
    defense: Annotated[
        list[str] | None,
        typer.Option(help="Defences, as name or name:option=value:..., comma or repeated."),
    ] = None,
    nir: Annotated[
        str | None,
        typer.Option(
            help="Non-IID rate: 'iid', or the Dirichlet concentration in percent."
        ),
    ] = None,
    pdr: Annotated[
        float | None,
        typer.Option(help="Poisoned share of every attacker's batch, percent."),
    ] = None,
    rounds: Annotated[int | None, typer.Option(help="Rounds.")] = None,
    eval_every: Annotated[
        int | None,
        typer.Option(
            help="Rounds between measurements; the last is always measured. The same as "
            "--set measuring.every=N."
        ),
    ] = None,
    seed: Annotated[
        str | None, typer.Option(help="Seed, or several with commas [default: 0].")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any setting, such as training.lr=0.05; repeatable."),
    ] = None,
    runs: Annotated[Path, typer.Option(help="Folder of all run folders.")] = Path("runs"),
    report: Annotated[
        Path | None, typer.Option(help="Where the report goes [default: RUNS/report.html].")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with unfinished runs.")
    ] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Begin runs anew.")] = False,
    clean: Annotated[
        bool, typer.Option(help="Also run the same federation with nobody attacking.")
    ] = True,
    engine: Annotated[
        str | None, typer.Option(help="Engine that trains [default: best for the device].")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, or cuda.")] = "cpu",
    on_failure: Annotated[
        str,
        typer.Option(
            help="When a client's training raises: 'stop' the run, to be resumed, or "
            "'drop' the client from its round."
        ),
    ] = "stop",
    data_dir: Annotated[
        Path | None, typer.Option(help="Where data sets are looked for first.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the configurations and stop.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the results as JSON, nothing else.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """See `RUN_HELP`."""
    from fedward.cli.overrides import configurations
    from fedward.cli.session import Session, print_results
    from fedward.simulation.assign import parse_named
    from fedward.simulation.config import clean_twin

    if resume and restart:
        raise ValueError("--resume and --restart exclude each other")
    settings: dict[str, Any] = {
        "dataset": dataset,
        "model": model,
        "attack": None if attack is None else parse_named(attack),
        "nir": nir,
        "attack.pdr": None if pdr is None else pdr / 100,
        "rounds": rounds,
        "measuring.every": eval_every,
    }
    wanted = configurations(
        preset,
        config,
        settings,
        set_ or [],
        defense or [],
        None if seed is None else parse_seeds(seed, "--seed"),
        ["fedavg", "fedward"] if preset == "demo" else [],
    )
    twins = [clean_twin(c) for c in wanted if clean and c.attack is not None]
    wanted = list(dict.fromkeys([*twins, *wanted]))
    if dry_run:
        print_dry_run(wanted)
        return
    session = Session(
        runs=runs,
        data_dir=data_dir,
        engine=engine,
        device=parse_device(device),
        resume=resume,
        restart=restart,
        on_failure=parse_on_failure(on_failure),
        quiet=quiet or as_json,
    )
    results = session.run_all(wanted)
    print_results(results, report or runs / "report.html", as_json)


def parse_seeds(text: str, option: str) -> list[int]:
    """``0,1,2`` as numbers.

    Raises:
        ValueError: if one is not a whole number from 0.
    """
    try:
        seeds = [int(part) for part in text.split(",")]
    except ValueError:
        seeds = [-1]
    if min(seeds) < 0:
        raise ValueError(f"{option} needs whole numbers from 0, with commas, got {text!r}")
    return seeds


def parse_device(text: str) -> str:
    """A device that is there.

    Raises:
        ValueError: if it is none, or PyTorch sees no card.
    """
    import torch

    if text != "cpu" and text.partition(":")[0] != "cuda":
        raise ValueError(f"--device needs cpu or cuda, got {text!r}")
    if text != "cpu" and not torch.cuda.is_available():
        raise ValueError(f"--device {text} needs a card that PyTorch sees, got none")
    return text


def parse_on_failure(text: str) -> Any:
    """``stop`` or ``drop``.

    Raises:
        UnknownName: for anything else.
    """
    from fedward.settings import lookup
    from fedward.simulation.failures import POLICIES

    return lookup("failure policy", text, POLICIES)


def print_dry_run(configs: list[Any]) -> None:
    """Every configuration with its key, as JSON."""
    from fedward.simulation.config import label, to_table

    tables = [{"key": c.key, "label": label(c), **to_table(c)} for c in configs]
    print(json.dumps(tables, indent=2))
