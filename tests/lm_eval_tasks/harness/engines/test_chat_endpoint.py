"""The evaluated model at a chat endpoint that misbehaves: what fails is no wrong answer."""

from __future__ import annotations

import copy
import json
from collections import Counter
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from click.testing import CliRunner
from lm_eval.api.instance import Instance

from judges import ConfigError, EndpointDownError
from lm_eval_tasks.cli import main
from lm_eval_tasks.harness.arguments import parse_arguments
from lm_eval_tasks.harness.engines.chat_endpoint import ChatEndpoint, client_settings
from lm_eval_tasks.records import FailedReply, Question, ScoredResponse
from lm_eval_tasks.runs.discovery import load_run
from lm_eval_tasks.runs.judging.scoring import read_reply
from lm_eval_tasks.stats.marks import marks_of
from lm_eval_tasks.stats.metrics import summarise
from tests.judges.endpoint import Endpoint, Handler

GOOD = "<explanation>\nFor a reason.\n</explanation>\n<choice>\n{label}\n</choice>"
USAGE = {"prompt_tokens": 500, "completion_tokens": 10}


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def requests(model: ChatEndpoint, *texts: str, repeats: int = 1, **generation: Any) -> list[Instance]:
    """What the harness hands a model: each request as often as it is to be sampled."""
    made = []
    for number, text in enumerate(texts):
        prompt = model.apply_chat_template([{"role": "user", "content": text}])
        request = Instance(
            request_type="generate_until",
            doc={},
            arguments=(prompt, {"until": [], "max_gen_toks": 40, "temperature": 0.7, **generation}),
            idx=number,
        )
        made += [request] * repeats
    return made


def ask(
    behave: Any, *texts: str, repeats: int = 1, generation: dict[str, Any] | None = None, **more: Any
) -> Any:
    """Asks through the harness's interface; returns texts and endpoint."""
    with Endpoint(behave, owned_by=None) as endpoint:
        model = ChatEndpoint(**{"model": "m", "base_url": endpoint.url, "backoff": 0.01, **more})
        found = model.generate_until(
            requests(model, *texts, repeats=repeats, **(generation or {})), disable_tqdm=True
        )
    return found, endpoint


FAULTS = {
    "error with status 200": (lambda h: h.json({"error": {"message": "died", "code": 502}}), "died"),
    "error in the choice": (lambda h: h.message("", choice={"error": {"message": "lost"}}), "lost"),
    "error beside a part": (lambda h: h.message("It is", choice={"error": {"message": "lost"}}), "lost"),
    "error beside a reply": (lambda h: h.message("It is B", "error"), "'error'"),
    "unknown end": (lambda h: h.message("It is B", "moon_phase"), "'moon_phase'"),
    "no end": (lambda h: h.message("It is B", None), "no finish reason"),
    "null": (lambda h: h.message(None), "null"),
    "unknown part": (lambda h: h.message([{"type": "picture"}]), "'picture'"),
    "filter": (lambda h: h.message("", "SAFETY"), "content filter"),
    "filter as an error": (lambda h: h.error(400, "filtered", code="content_filter"), "content filter"),
    "thoughts alone": (lambda h: h.message(None, reasoning_content="B?"), "reasoning_content"),
    "half read": (
        lambda h: h.message("B", usage={"prompt_tokens": 16, "completion_tokens": 2}),
        "only 16 tokens",
    ),
    "too long": (lambda h: h.error(400, "maximum context length is 5"), "too long"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_fails_is_marked_with_its_reason_and_the_rest_goes_on(fault: str) -> None:
    answer, reason = FAULTS[fault]

    def behave(k: int, body: dict[str, Any], handler: Handler) -> None:
        if "bad" in body["messages"][-1]["content"]:
            answer(handler)
        else:
            handler.message("fine", usage=USAGE)

    found, _ = ask(behave, "good", "bad " * 160, "good too", max_retries=2)
    assert [type(text) for text in found] == [str, FailedReply, str]
    assert reason in found[1].reason
    assert copy.deepcopy(found[1]).reason == found[1].reason  # as between processes


def test_parts_are_the_reply_and_thoughts_are_not() -> None:
    parts = [
        {"type": "thinking", "thinking": "A?"},
        {"type": "text", "text": "It is "},
        {"type": "text", "text": "B"},
    ]
    found, _ = ask(lambda k, b, h: h.message(parts), "x")
    assert found == ["It is B"]


def test_thinking_that_never_ended_is_the_models_own_fault() -> None:
    (text,), _ = ask(lambda k, b, h: h.message(None, "length", reasoning_content="Let me see"), "x")
    question = Question.from_json(
        {"id": "1", "question": "?", "choices": {"label": ["A", "B"], "text": ["x", "y"]}, "gold": "A"}
    )
    read = read_reply(question, text)
    assert (read.response.choice_problem, read.response.failure) == ("unfinished_thinking", None)


def test_only_what_is_meant_is_sent() -> None:
    found, endpoint = ask(
        lambda k, b, h: h.message("fine END more"),
        "x",
        generation={"seed": None, "until": ["END"], "top_k": 5, "do_sample": True},
        omit=["stop"],
    )
    (body,) = endpoint.bodies
    assert found == ["fine "]
    assert {k: v for k, v in body.items() if k != "messages"} == {
        "model": "m",
        "temperature": 0.7,
        "max_tokens": 40,
        "top_k": 5,
    }


def test_a_setting_of_null_is_left_to_the_endpoint_and_a_seed_is_sent_as_given() -> None:
    _, endpoint = ask(lambda k, b, h: h.message("x"), "x", generation={"temperature": None, "seed": 7})
    assert "temperature" not in endpoint.bodies[0]
    assert endpoint.bodies[0]["seed"] == 7


def test_what_has_arrived_is_kept_and_each_sample_is_one_of_its_own(tmp_path: Path) -> None:
    """Three samples of two questions, of which the account runs dry in the middle; then it is filled up."""
    dry = True

    def behave(k: int, body: dict[str, Any], handler: Handler) -> None:
        handler.error(402, "Insufficient credits") if dry and k >= 4 else handler.message(f"reply {k}")

    store = {"replies": str(tmp_path / "replies.sqlite"), "num_concurrent": 1}
    with Endpoint(behave, owned_by=None) as endpoint:
        for _ in range(2):
            model = ChatEndpoint(model="m", base_url=endpoint.url, **store)
            asked = requests(model, "one", "two", repeats=3)
            if dry:
                with pytest.raises(EndpointDownError, match="credit or quota is used up"):
                    model.generate_until(asked, disable_tqdm=True)
                dry = False
            else:
                found = model.generate_until(asked, disable_tqdm=True)
        assert Counter(body["messages"][-1]["content"] for body in endpoint.bodies) == {"one": 3, "two": 4}
    assert len(set(found)) == 6  # the fifth request was the one that was refused


@pytest.mark.parametrize("path", ["/v1", "/v1/chat/completions", ""])
def test_the_address_may_be_given_either_way(path: str) -> None:
    def behave(k: int, body: dict[str, Any], handler: Handler) -> None:
        if handler.path == "/v1/chat/completions":
            handler.message("fine")
        else:
            handler.send(404, "text/plain", b"404 page not found")

    with Endpoint(behave, owned_by=None) as endpoint:
        model = ChatEndpoint(model="m", base_url=f"http://127.0.0.1:{endpoint.port}{path}")
        assert model.generate_until(requests(model, "x"), disable_tqdm=True) == ["fine"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("base_url=http://h/v1", "model=NAME is missing"),
        ("model=m", "base_url is missing"),
        ("model=m,base_url=http://h/v1,num_concurent=4", "did you mean 'num_concurrent'"),
        ("model=m,base_url=h:8000/v1", "expected an address"),
        ("model=m,base_url=http://h/v1,auth_token=sk-planted", "OPENAI_API_KEY"),
        ('{"model": "m", "base_url": "http://h/v1", "header": {"api-key": "sk-planted"}}', "env:NAME"),
        ("model=m,base_url=http://h/v1,verify_certificate=False", "ca_cert_path"),
    ],
)
def test_arguments_that_are_wrong_are_refused_without_repeating_a_key(arguments: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as caught:
        client_settings("local-chat-completions", parse_arguments(arguments, "--model-args"))
    assert "planted" not in str(caught.value)


# --- The whole command ------------------------------------------------------------------------------------


def run(endpoint: Endpoint, folder: Path, *options: str) -> Any:
    """``anchor-eval run`` on three questions, two samples each."""
    questions = Path(__file__).resolve().parents[3] / "fixtures" / "questions" / "original"
    model_args = f"model=m,base_url={endpoint.url}/chat/completions,max_retries=1"
    arguments = ["run", "--model", "local-chat-completions", "--model-args", model_args, "-o", str(folder)]
    arguments += ["--reply-form", "asked"]  # no pilot: requests are counted here
    arguments += ["--tasks", "arc_challenge_explain", "--data-dir", str(questions), "--repeats", "2"]
    return CliRunner().invoke(main, [*arguments, *options])


def test_a_reply_that_fails_counts_nowhere_is_told_and_is_asked_again(
    fork_server: None, tmp_path: Path
) -> None:
    failing = True

    def behave(k: int, body: dict[str, Any], handler: Handler) -> None:
        if failing and k == 1:
            handler.json({"error": {"message": "upstream died"}})
        else:
            handler.message(GOOD.format(label="A"), usage=USAGE)

    folder = tmp_path / "run"
    with Endpoint(behave, owned_by=None) as endpoint:
        first = run(endpoint, folder, "--json")
        assert first.exit_code == 0, first.output
        (task,) = json.loads(first.stdout)["tasks"]
        asked = len(endpoint.bodies)
        assert task["responses"] == asked - 1
        assert sum(task["unanswered"].values()) == 1
        assert "upstream died" in next(iter(task["unanswered"]))
        kept = list(load_run(folder).task("arc_challenge_explain").read())
        (note,) = load_run(folder).notes
        assert (
            f"1 of {asked} replies failed and count nowhere" in note
        )  # as compare and the leaderboard show it
        failing = False
        second = run(endpoint, folder, "--json")
        assert len(endpoint.bodies) == asked + 1
        (task,) = json.loads(second.stdout)["tasks"]
        assert (task["responses"], task["unanswered"]) == (asked, {})
        third = run(endpoint, folder, "--json")
        assert len(endpoint.bodies) == asked + 1
        assert "generated before" in third.stderr
    failed = [sample for scored in kept for sample in scored.responses if sample.response.failure]
    assert len(failed) == 1
    assert ScoredResponse.from_json(failed[0].to_json()) == failed[0]
    # Accuracy is over the replies that arrived: a failed one is neither right nor wrong.
    shares = [[sample.correct for sample in scored.answered] for scored in kept]
    assert summarise(kept, None)["acc"].value == mean(mean(right) for right in shares)
    marks = marks_of(kept)
    assert (marks.samples, marks.correct.sum()) == (asked - 1, sum(map(sum, shares)))


def test_settings_that_are_misspelt_are_refused_before_anything_is_asked(
    fork_server: None, tmp_path: Path
) -> None:
    with Endpoint(owned_by=None) as endpoint:
        for given in ("temprature=1.0", "temperature:1.0", '{"temperature": "hot"}'):
            outcome = run(endpoint, tmp_path / "run", "--gen-kwargs", given)
            assert outcome.exit_code == 1
            assert "--gen-kwargs" in outcome.stderr
        assert not endpoint.bodies


def test_an_endpoint_that_fails_everything_is_an_error_and_no_accuracy_of_zero(
    fork_server: None, tmp_path: Path
) -> None:
    with Endpoint(lambda k, b, h: h.message("B", "moon_phase"), owned_by=None) as endpoint:
        outcome = run(endpoint, tmp_path / "run", "--limit", "1")
    assert outcome.exit_code == 1
    assert "none of 2 replies arrived" in outcome.stderr
    assert "moon_phase" in outcome.stderr
