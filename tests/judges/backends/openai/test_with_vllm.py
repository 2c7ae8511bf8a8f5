"""The openai backend against a real server."""

import pytest

from judges import Judgement, Message, Sampling, Statement, answer_all, load_backend, load_judge

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("form", ["full", "compact"])
def test_a_judge_at_vllm_serve_gives_verdicts_whatever_the_model(vllm_server, tmp_path, form):
    spec = {"backend": "openai", "model": vllm_server.model, "base_url": vllm_server.base_url}
    spec |= {"verdict_form": form}
    statements = [Statement("2 + 2?", f"It is {k}.") for k in range(12)]
    with load_judge(spec, cache=tmp_path / "cache.sqlite") as judge:
        assessments = judge.assess_all(statements, progress=False)
        info, accounts = judge.info, judge.accounts
    # A random model says nothing sensible; the verdicts come from holding it to the form.
    assert all(isinstance(assessment.outcome, Judgement) for assessment in assessments)
    assert info.constrained is True
    assert accounts.coverage == 1
    assert accounts.usage.completion_tokens > 0


def test_free_replies_of_a_model_that_cannot_judge_are_unjudged(vllm_server):
    spec = {
        "backend": "openai",
        "model": vllm_server.model,
        "base_url": vllm_server.base_url,
        "form": "none",
        "sampling": {"max_tokens": 8},
    }
    with load_judge(spec, cache=None) as judge:
        (assessment,) = judge.assess_all([Statement("2 + 2?", "It is 4.")], progress=False)
    assert assessment.outcome.reason in {"truncated", "unparsable"}


def test_seeded_samples_do_not_depend_on_the_rest_of_the_batch(vllm_server):
    sampling = Sampling(n=3, temperature=1.0, seed=5, max_tokens=12)
    conversations = [(Message("user", f"Tell me about {k}."),) for k in range(4)]
    spec = {"backend": "openai", "model": vllm_server.model, "base_url": vllm_server.base_url}
    with load_backend(spec) as backend:
        together = answer_all(backend, conversations, sampling)
        alone = answer_all(backend, conversations[2:3], sampling)
    assert [c.text for c in alone[0].completions] == [c.text for c in together[2].completions]
    assert len({c.text for c in alone[0].completions}) == 3
