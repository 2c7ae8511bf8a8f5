"""Whether a judge and the model it judges are of one family: judges favour their own family's text."""

from __future__ import annotations

import re

# Sign in a model's name -> family. The first word of the name that is one decides.
_FAMILIES = {
    "llama": "Llama", "vicuna": "Llama", "alpaca": "Llama", "tulu": "Llama", "codellama": "Llama",
    "qwen": "Qwen", "qwq": "Qwen", "mistral": "Mistral", "mixtral": "Mistral", "ministral": "Mistral",
    "magistral": "Mistral", "gemma": "Gemma", "gemini": "Gemini", "gpt": "GPT", "chatgpt": "GPT", "o": "GPT",
    "davinci": "GPT", "claude": "Claude", "phi": "Phi", "deepseek": "DeepSeek", "olmo": "OLMo",
    "falcon": "Falcon", "command": "Command", "yi": "Yi", "internlm": "InternLM", "glm": "GLM",
    "chatglm": "GLM", "granite": "Granite", "smollm": "SmolLM", "pythia": "Pythia", "bloom": "BLOOM",
    "kimi": "Kimi", "nemotron": "Nemotron", "grok": "Grok", "stablelm": "StableLM",
}  # fmt: skip


def family(model: str) -> str | None:
    """The family that a model's name tells, e.g. ``Llama`` for ``meta-llama/Llama-3-8B``."""
    name = re.split(r"[/\\]", model.rstrip("/\\"))[-1]
    for word in re.findall(r"[a-z]+", name.casefold()):
        if word in _FAMILIES:
            return _FAMILIES[word]
    return None


def same_family_note(judge_model: str, evaluated_model: str) -> str | None:
    """A note for the results when a judge may favour what it judges; None if nothing tells so.

    Args:
        judge_model: Name or path of the judge model.
        evaluated_model: Name or path of the evaluated model.
    """
    if judge_model == evaluated_model:
        return f"the judge {judge_model} judges its own text; judges tend to favour it"
    shared = family(judge_model)
    if shared is None or shared != family(evaluated_model):
        return None
    return (
        f"judge {judge_model} and model {evaluated_model} are both of the {shared} family; "
        "judges tend to favour their own family's text"
    )
