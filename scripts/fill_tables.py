"""Write the tables of a document again, from the results that its markers name.

    python scripts/fill_tables.py docs/results.md
    python scripts/fill_tables.py --check docs/results.md

A marker is the command that prints the table, in a comment; everything between it and the
end marker is replaced:

    <!-- fedward report results/demo --markdown - -->
    <!-- end of table -->

Places are those of the repository. With ``--check`` nothing is written, and a document
whose tables are not those of its results ends in an error.
"""

import argparse
import re
import sys
from pathlib import Path

from fedward.cli.grid_report import GridReport

ROOT = Path(__file__).parents[1]
MARKED = re.compile(
    r"(?P<begin><!-- fedward report (?P<places>[^\n]*?) --markdown - -->\n)"
    r".*?(?P<end><!-- end of table -->)",
    re.DOTALL,
)


def filled(text: str, root: Path = ROOT) -> str:
    """The document with its tables as its results have them now.

    Raises:
        ValueError: if a marker names a place that does not exist or holds no result.
    """
    return MARKED.sub(lambda found: _table(found, root), text)


def _table(found: re.Match[str], root: Path) -> str:
    places = [root / place for place in found["places"].split()]
    table = GridReport.of(places, None, [], None).form("markdown")
    return f"{found['begin']}\n{str(table).strip()}\n\n{found['end']}"


def main() -> None:
    """Fill or check the documents that are named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("documents", nargs="+", type=Path)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    stale = []
    for document in arguments.documents:
        text = document.read_text(encoding="utf-8")
        made = filled(text)
        if made != text and arguments.check:
            stale.append(str(document))
        elif made != text:
            document.write_text(made, encoding="utf-8")
    if stale:
        sys.exit(f"tables are not those of the results: {', '.join(stale)}")


if __name__ == "__main__":
    main()
