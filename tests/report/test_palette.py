import html
from html.parser import HTMLParser

from hypothesis import given, strategies as st

from fedward.report import palette


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_swapping_light_for_dark_is_unambiguous() -> None:
    assert not set(palette.PAIRS) & set(palette.PAIRS.values())
    named = [c for c in vars(palette).values() if isinstance(c, palette.Colour)]
    assert len(palette.PAIRS) == len(named) + len(palette.RUNS)


def test_text_and_lines_stand_out_on_light_and_dark() -> None:
    """WCAG 2.2: 4.5 for text, 3 for lines and marks."""
    for tone in ("light", "dark"):
        field = getattr(palette.FIELD, tone)
        for text in (palette.INK, palette.FAINT):
            assert contrast(getattr(text, tone), field) >= 4.5
        marks = (
            palette.HONEST,
            palette.ATTACKER,
            palette.ATTACKER_ADMITTED,
            palette.UNKNOWN,
            palette.UNKNOWN_REJECTED,
            *palette.RUNS,
        )
        for mark in marks:
            assert contrast(getattr(mark, tone), field) >= 3


def test_wrong_verdicts_differ_from_right_ones_in_lightness_too() -> None:
    """Whoever sees no hue still tells admitted attackers from accepted honest clients."""
    for tone in ("light", "dark"):
        admitted = getattr(palette.ATTACKER_ADMITTED, tone)
        assert contrast(admitted, getattr(palette.HONEST_ACCEPTED, tone)) >= 2
        rejected = getattr(palette.UNKNOWN_REJECTED, tone)
        assert contrast(rejected, getattr(palette.UNKNOWN_ACCEPTED, tone)) >= 2


def test_runs_look_different() -> None:
    assert len({palette.run_style(index) for index in range(32)}) == 32
    assert palette.run_style(32) == palette.run_style(0)


@given(st.text())
def test_literal_text_holds_no_markup_and_reads_the_same(text: str) -> None:
    seen: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: seen.append(tag)  # type: ignore[method-assign]
    parser.feed(palette.literal(text))
    assert seen == []
    assert html.unescape(palette.literal("<b>&</b>")) == "<b>&</b>"


@given(st.floats(min_value=1e-9, max_value=1e9))
def test_shortened_numbers_keep_six_digits(number: float) -> None:
    assert abs(palette.shorten(number) - number) <= 5e-6 * number
