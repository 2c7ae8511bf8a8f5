"""``reply_form`` as plain lm_eval takes it: by ``--metadata`` and ``--num_fewshot``."""

from __future__ import annotations

from typing import Any

import lm_eval
import pytest
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

from judges.errors import ConfigError
from lm_eval_tasks.harness.packages import packages_read_here
from lm_eval_tasks.prompts.reply_form import ReplyForm
from lm_eval_tasks.tasks.load import load_task
from lm_eval_tasks.tasks.spec import TASKS
from tests.lm_eval_tasks.harness.test_task_options import chat, task

REPLY = "<explanation>\nIt follows.\n</explanation>\n<choice>\nB\n"
MADE_UP = "</choice>\n\nQuestion:\nWho?\n\n<explanation>\nNobody.\n</explanation>\n<choice>\nA\n</choice>"


class Rambling(LM):  # type: ignore[misc]
    """Goes on after its reply, unless it is stopped, with a question of its own and the reply to that."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        self.asked += [request.args for request in requests]
        stopped = [any(stop in MADE_UP for stop in request.args[1]["until"]) for request in requests]
        return [REPLY if each else REPLY + MADE_UP for each in stopped]

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        raise NotImplementedError

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        raise NotImplementedError


@packages_read_here()
def evaluate(model: LM, metadata: dict[str, Any], **options: Any) -> dict[str, Any]:
    manager = TaskManager(
        include_path=str(TASKS), include_defaults=False, metadata={"repeats": 1, **metadata}
    )
    found: dict[str, Any] = lm_eval.simple_evaluate(
        model=model, tasks=["demo_explain"], task_manager=manager, limit=2, bootstrap_iters=0, **options
    )
    return found


@pytest.mark.parametrize(
    ("metadata", "options"),
    [({"reply_form": "shown:3"}, {}), ({"reply_form": {"shown": 3}}, {}), ({}, {"num_fewshot": 3})],
)
def test_examples_by_metadata_or_num_fewshot_are_the_same(
    metadata: dict[str, Any], options: dict[str, Any]
) -> None:
    model = Rambling()
    config = evaluate(model, metadata, **options)["configs"]["demo_explain"]
    spec = load_task("demo_explain").in_form(ReplyForm(3))
    told = config["metadata"]
    assert (told["reply_form"], told["prompt_fingerprint"]) == ("shown:3", spec.fingerprint)
    assert config["num_fewshot"] == 3
    turns = spec.asked_conversation(spec.load_questions("test")[0])
    assert model.asked[0][0] == "".join(f"{turn.content}\n\n" for turn in turns)


def test_a_model_without_a_template_isn_t_read_beyond_its_own_reply() -> None:
    model = Rambling()
    results = evaluate(model, {"reply_form": "shown"})
    assert "</choice>" in model.asked[0][1]["until"]
    (reply,) = results["samples"]["demo_explain"][0]["resps"][0]
    assert reply == f"{REPLY}</choice>"
    assert results["results"]["demo_explain"]["readable,none"] == 1


def test_asked_is_as_it_was() -> None:
    model = Rambling()
    results = evaluate(model, {})
    assert model.asked[0][1]["until"] == []
    config = results["configs"]["demo_explain"]
    assert config["metadata"]["prompt_fingerprint"] == load_task("demo_explain").prompts.fingerprint
    assert (config["metadata"]["reply_form"], config["num_fewshot"]) == ("asked", 0)


def test_examples_are_turns_where_there_is_a_template() -> None:
    found = task(reply_form="shown:1")
    doc = found.eval_docs[0]
    prompt = found.fewshot_context(doc, 1, apply_chat_template=True, chat_template=chat())
    roles = ["[system]", "[user] Question:\nMia", "[assistant] <explanation>", "[user]", "[assistant]"]
    places = [prompt.index(role) for role in roles[:3]]
    assert places == sorted(places)
    assert (prompt.count("[user]"), prompt.count("[assistant]")) == (2, 2)


@pytest.mark.parametrize(
    ("metadata", "options", "problem"),
    [
        ({"reply_form": "auto"}, {}, "anchor-eval run does"),
        ({"reply_form": "few"}, {}, "--metadata: reply_form = 'few': expected auto, asked, shown"),
        ({"reply_form": "shown:6"}, {}, "6 examples are to be shown, it has 5"),
        ({"reply_form": "asked"}, {"num_fewshot": 2}, "--num_fewshot 2 and reply_form asked contradict"),
        ({"reply_form": "shown"}, {"num_fewshot": 3}, "--num_fewshot 3 and reply_form shown:2 contradict"),
        ({"reply_form": "held"}, {}, "doesn't tell the task its model.*anchor-eval run.*shown works"),
    ],
)
def test_what_can_t_be_honoured_is_refused(
    metadata: dict[str, Any], options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        evaluate(Rambling(), metadata, **options)


def test_a_kind_of_model_that_can_t_be_held_is_refused() -> None:
    found = task(reply_form="held")
    found.use_model(Rambling())
    with pytest.raises(ConfigError, match=r"models of the kind Rambling can't be held.*shown works"):
        found.build_all_requests(limit=1)
