"""Parts of a page that are written by a program, between two marks that name them."""

from pathlib import Path

PERFORMANCE = Path(__file__).parents[1] / "docs" / "performance.md"


def fill(page: Path, name: str, text: str) -> None:
    """Put a text between ``<!-- name: begin -->`` and ``<!-- name: end -->``.

    Raises:
        ValueError: if the page does not have both marks, once and in this order.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    held = page.read_text()
    before, _, rest = held.partition(begin)
    _, _, after = rest.partition(end)
    if [held.count(begin), held.count(end), rest.count(end)] != [1, 1, 1]:
        raise ValueError(f"{page} needs the marks {begin} and {end}, once, in this order")
    page.write_text(f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}")
