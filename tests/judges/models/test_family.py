import pytest

from judges import same_family_note
from judges.models.family import family


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("meta-llama/Meta-Llama-3-70B-Instruct", "Llama"),
        ("/models/llama3-8b/", "Llama"),
        ("llama3.1:8b", "Llama"),
        ("gpt-4o-mini", "GPT"),
        ("o3-mini", "GPT"),
        ("chatgpt-4o-latest", "GPT"),
        ("Qwen/Qwen2.5-7B-Instruct", "Qwen"),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", "DeepSeek"),
        ("mistralai/Mixtral-8x7B", "Mistral"),
        ("runs/m1/merged", None),
        ("", None),
    ],
)
def test_the_family_is_told_by_the_name(model, expected):
    assert family(model) == expected


def test_a_judge_of_its_own_family_is_noted():
    assert "both of the Llama family" in same_family_note("meta-llama/Llama-3-70B", "llama3:8b")
    assert "its own text" in same_family_note("runs/m1", "runs/m1")
    assert same_family_note("gpt-4o", "llama3:8b") is None
    assert same_family_note("runs/a", "runs/b") is None
