"""The command line: parse, call one function, print. Heavy imports wait for a command."""

import typer

from fedward.cli.bench import BENCH_HELP, bench
from fedward.cli.data import DATA_HELP, data
from fedward.cli.listing import list_names
from fedward.cli.report import report
from fedward.cli.run import RUN_HELP, run
from fedward.cli.show import show

app = typer.Typer(
    name="fedward",
    help="Keep backdoors out of federated learning, and prove it with numbers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command("run", help=RUN_HELP)(run)
app.command("bench", help=BENCH_HELP)(bench)
app.command("list")(list_names)
app.command("show")(show)
app.command("report")(report)
app.command("data", help=DATA_HELP)(data)
