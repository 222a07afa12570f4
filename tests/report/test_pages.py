import json

from hypothesis import given, strategies as st

from fedward.report.pages import script_json


@given(st.text())
def test_json_in_a_script_parses_to_the_same_and_cannot_end_it(text: str) -> None:
    safe = script_json(json.dumps([text], ensure_ascii=False))
    assert json.loads(safe) == [text]
    assert not set("<>&\u2028\u2029") & set(safe)
