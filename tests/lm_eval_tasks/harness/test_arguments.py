"""Arguments as the harness takes them: its own types, JSON, and nothing that is misspelt."""

from __future__ import annotations

import pytest
from lm_eval.utils import simple_parse_args_string

from judges import ConfigError
from lm_eval_tasks.harness.arguments import check_generation, parse_arguments


@pytest.mark.parametrize(
    "text",
    [
        "",
        "temperature=1.0,max_gen_toks=99",
        "do_sample=True,top_k=40,top_p=1e-1",
        "pretrained=org/model,dtype=bfloat16,add_bos_token=false",
        "model='7',base_url=http://h:1/v1?a=b",
        "seed=-3,until=END",
        "x=None,y=none,z=007",
        "trust_remote_code=true,,revision=main,",
    ],
)
def test_key_and_value_are_read_as_the_harness_reads_them(text):
    assert parse_arguments(text, "--x") == simple_parse_args_string(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"temperature": 1.0, "max_gen_toks": 99}', {"temperature": 1.0, "max_gen_toks": 99}),
        ('{"seed": null}', {"seed": None}),
        ("seed=null", {"seed": None}),
        (' {"until": ["a,b", "c=d"]} ', {"until": ["a,b", "c=d"]}),
        ('until=["a,b","c"],top_p=0.5', {"until": ["a,b", "c"], "top_p": 0.5}),
        ('extra_body={"a": {"b": 1}}', {"extra_body": {"a": {"b": 1}}}),
    ],
)
def test_json_is_read_whole_or_as_a_value(text, expected):
    assert parse_arguments(text, "--x") == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("temperature:1.0", r"did you mean temperature=1\.0\?"),
        ("temperature", "is no key=value"),
        ("temperature 1", "is no key=value"),
        ("top_p=1,top_p=0.9", "given twice"),
        ('{"top_p": 1, "until": [{"a": 1, "a": 2}]}', "'a' is given twice"),
        ('until=["x"],template={"b": 1, "b": 2}', "'b' is given twice"),
        ("{'temperature': 1}", "JSON has double quotes"),
        ('{"temperature": 1', "is no JSON"),
        ("until=['a']", "JSON has double quotes"),
    ],
)
def test_what_is_neither_is_refused(text, complaint):
    with pytest.raises(ConfigError, match=complaint):
        parse_arguments(text, "--gen-kwargs")


@pytest.mark.parametrize("model", ["hf", "vllm", "local-chat-completions"])
@pytest.mark.parametrize(
    ("name", "meant"), [("temprature", "temperature"), ("top-p", None), ("max_gen_tok", "max_gen_toks")]
)
def test_a_misspelt_setting_is_refused_with_the_nearest_one(model, name, meant):
    hint = f"did you mean '{meant}'" if meant else "no name of a setting"
    with pytest.raises(ConfigError, match=hint):
        check_generation({name: 1}, model)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", "hot"),
        ("temperature", -1),
        ("temperature", float("nan")),
        ("temperature", True),
        ("top_p", 0),
        ("top_p", 1.5),
        ("max_gen_toks", 0),
        ("max_gen_toks", "many"),
        ("max_tokens", 9.5),
        ("do_sample", "yes"),
        ("seed", "null"),
        ("until", [1]),
        ("n", 4),
        ("top_k", -1),  # vLLM's way of saying none
        ("min_p", 2),
        ("typical_p", 0),
        ("repetition_penalty", 0),
        ("num_beams", 0),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(name, value):
    with pytest.raises(ConfigError, match=name):
        check_generation({name: value}, "hf")


def test_what_each_kind_of_model_knows_is_let_through():
    check_generation({"repetition_penalty": 1.1, "num_beams": 2, "seed": None}, "hf")
    check_generation({"min_tokens": 2, "presence_penalty": 0.5, "top_k": -1}, "vllm")
    check_generation({"reasoning_effort": "low", "chat_template_kwargs": {}}, "local-chat-completions")
    check_generation({"what_only_it_knows": 1}, "somebody-elses-model")
    with pytest.raises(ConfigError, match="extra_body"):
        check_generation({"what_only_it_knows": 1}, "local-chat-completions")
