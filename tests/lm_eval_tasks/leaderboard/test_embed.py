import json

from hypothesis import given
from hypothesis import strategies as st

from lm_eval_tasks.leaderboard.embed import script_json, slugs


@given(st.recursive(st.text() | st.integers() | st.none(), st.lists, max_leaves=8))
def test_embedded_json_reads_back_and_can_not_end_a_script(value: object) -> None:
    text = str(script_json(value))
    assert json.loads(text) == value
    assert not set(text) & set("<>&\u2028\u2029")


def test_lone_surrogates_do_not_stop_the_page_from_being_written() -> None:
    script_json("half \ud83d of a pair").encode()


@given(st.sets(st.text(max_size=80)))
def test_every_name_gets_a_file_name_of_its_own_on_any_file_system(names: set[str]) -> None:
    found = slugs(names)
    assert set(found) == names
    assert len({slug.casefold() for slug in found.values()}) == len(names)
    for slug in found.values():
        assert slug
        assert "--" not in slug
        assert not slug.startswith((".", "-"))
        assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-")


def test_names_that_differ_in_case_only_stay_apart_whatever_the_order() -> None:
    assert slugs(["Run", "run"]) == slugs(["run", "Run"])
    assert slugs(["org/Model 1"]) == {"org/Model 1": "org-model-1"}
