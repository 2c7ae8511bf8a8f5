import os
import subprocess
import sys
from pathlib import Path

import pytest

from judges import ConfigError, MissingExtraError, Prices, Statement, load_backend, load_judge
from judges.backends.registry import backend_names

ROOT = Path(__file__).resolve().parents[2]


def test_the_short_forms(tmp_path):
    with load_judge("openai:org/model@2:7b@http://localhost:1/v1", cache=None) as judge:
        assert judge.info.name == "openai:org/model@2:7b@http://localhost:1/v1"
        assert judge.info.model == "org/model@2:7b"
    (tmp_path / "replies.yaml").write_text("replies: [{reply: hm}]")
    with load_judge(f"scripted:{tmp_path / 'replies.yaml'}", cache=None) as judge:
        assert judge.info.model == "replies.yaml"


def test_a_judge_file(tmp_path):
    (tmp_path / "replies.yaml").write_text("replies: [{reply: 'Beauty: 3/4'}]")
    (tmp_path / "beauty.yaml").write_text(
        """
        name: beauty
        version: 7
        scale: {4/4: 1, 3/4: 3/4, 0/4: 0}
        criteria: [{key: beauty, name: Beauty, question: 'Is it beautiful?', weight: 2}]
        prompt: {system: "{{ criteria[0].question }}", user: "{{ question }} {{ explanation }}"}
        """
    )
    judge_file = tmp_path / "judge.yaml"
    judge_file.write_text(
        """
        backend: scripted
        replies: replies.yaml
        rubric: beauty.yaml
        sampling: {temperature: 0.3, max_tokens: 9, seed: 5}
        prices: {prompt: 1, completion: 2}
        """
    )
    with load_judge(judge_file, cache=tmp_path / "cache.sqlite") as judge:
        (assessment,) = judge.assess_all([Statement("q", "e")], progress=False)
        info = judge.info
    assert assessment.outcome.verdicts == {"beauty": "3/4"}
    assert judge.rubric.score(assessment.outcome) == 3
    assert (info.rubric, info.rubric_version, info.units, info.max_score) == ("beauty", "7", 2, 4)
    assert info.sampling == {"temperature": 0.3, "top_p": 1.0, "max_tokens": 9, "seed": 5}
    assert assessment.price == pytest.approx(Prices(1, 2).of(assessment.usage))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("model: m", "'backend' is missing"),
        ("backend: opnai\nmodel: m", r"no backend 'opnai': did you mean 'openai'\? known: openai"),
        ("backend: openai\nbase_url: http://localhost/v1", "'model' is missing"),
        ("backend: openai\nmodel: m\nbase_url: http://x/v1\nsmapling: {}", "did you mean 'sampling'"),
        ("backend: openai\nmodel: m\nbase_url: http://x/v1\nconcurency: 3", "did you mean 'concurrency'"),
        ("backend: openai\nmodel: m\nsampling: {temprature: 1}", "did you mean 'temperature'"),
        (
            "backend: openai\nmodel: m\nsampling: {temperature: -1, top_p: 2}",
            "temperature.*top_p",
        ),
        ("backend: openai\nmodel: m\nsampling: {n: 4}", "unknown key 'sampling.n'"),
        ("backend: openai\nmodel: m\nprices: {prompt: 1}", "'prices.completion' is missing"),
        ("backend: openai\nmodel: m\nrubric: explanation_qualty", "did you mean 'explanation_quality'"),
        ("backend: scripted\nreplies: gone.yaml", "gone.yaml: can't be read"),
        ("backend: [", "not valid YAML"),
        ("just text", "expected settings"),
    ],
)
def test_a_wrong_judge_file_is_said_in_one_line(tmp_path, content, complaint):
    file = tmp_path / "judge.yaml"
    file.write_text(content)
    with pytest.raises(ConfigError, match=complaint) as caught:
        load_judge(file, cache=None)
    assert "\n" not in str(caught.value)


def test_mistakes_of_the_judge_and_of_its_backend_are_told_together():
    spec = {"backend": "openai", "model": "m", "base_url": "http://localhost:1/v1", "concurency": 8}
    with pytest.raises(ConfigError) as raised:
        load_judge({**spec, "sampling": {"temprature": 0}}, cache=None)
    assert "'temperature'" in str(raised.value)
    assert "'concurrency'" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("gpt-4o", "expected BACKEND:MODEL"),
        ("openai:", "the model is missing"),
        ("openai:@http://localhost/v1", "the model is missing"),
        ("nosuch.yaml", "can't be read"),
        ("gtp:m", "no backend 'gtp'"),
        ("vllm:", "the model is missing"),
    ],
)
def test_a_wrong_short_form_is_said_in_one_line(spec, complaint):
    with pytest.raises(ConfigError, match=complaint):
        load_judge(spec, cache=None)


# --- Backends of other packages ---------------------------------------------------------------------------


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Installs a package with one backend for this process: real metadata, a real entry point."""

    def install(source, value="their_backend:create"):
        (tmp_path / "their_backend.py").write_text(source)
        metadata = tmp_path / "their_package-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[judges.backends]\ntheirs = {value}\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "their_backend", raising=False)

    yield install
    sys.modules.pop("their_backend", None)


GOOD_PLUGIN = """
from judges.backends.scripted import ScriptedBackend, ScriptedEntry
from judges import BackendIdentity
def create(settings):
    model = settings["model"]
    return ScriptedBackend([ScriptedEntry(reply=model)], BackendIdentity("theirs", model))
"""


def test_a_backend_of_another_package_is_found_by_its_entry_point(plugin):
    plugin(GOOD_PLUGIN)
    assert "theirs" in backend_names()
    with load_judge("theirs:parrot", cache=None) as judge:
        (assessment,) = judge.assess_all([Statement("q", "e")], progress=False)
    assert (assessment.raw, judge.info.name) == ("parrot", "theirs:parrot")


@pytest.mark.parametrize(
    ("source", "value", "complaint"),
    [
        (
            "import no_such_library",
            "their_backend:create",
            r"from their-package.*no_such_library",
        ),
        ("1 / 0", "their_backend:create", "can't be loaded: ZeroDivisionError"),
        ("", "their_backend:create", "their_backend has no create"),
        ("def create(settings): return 5", "their_backend:create", "made a int, not a ChatBackend"),
        ("def create(settings): raise KeyError('x')", "their_backend:create", "failed: KeyError: 'x'"),
    ],
)
def test_a_broken_backend_of_another_package_is_a_clear_error(plugin, source, value, complaint):
    plugin(source, value)
    with pytest.raises(ConfigError, match=complaint):
        load_backend("theirs:m")


def test_a_missing_library_is_answered_with_its_install_command(plugin):
    plugin("raise ModuleNotFoundError('No module named vllm', name='vllm')")
    with pytest.raises(MissingExtraError, match=r"pip install 'anchored-explanations\[vllm\]'"):
        load_backend("theirs:m")


def test_importing_judges_loads_no_engine_and_no_network_library():
    heavy = {"torch", "vllm", "openai", "lm_eval", "transformers", "httpx", "aiohttp", "datasets", "numpy"}
    program = f"import sys, judges; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    "address",
    [
        *("localhost:8000/v1", "localhost", "10.0.0.7:8000", "api.example.com/v1"),
        *("ftp://x", "htp://host:80/v1", "HTTP://host/v1", "[::1]:8000/v1", "[fe80::1]"),
    ],
)
def test_an_address_without_http_is_no_part_of_the_model(address):
    with pytest.raises(ConfigError, match="needs http:// or https:// before"):
        load_judge(f"openai:org/model@{address}", cache=None)


@pytest.mark.parametrize("model", ["claude@20240620", "org/model@2:7b", "@cf/meta/llama-3-8b", "m@v1"])
def test_a_model_name_may_hold_an_at_sign(model, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with load_judge(f"openai:{model}", cache=None) as judge:
        assert judge.info.model == model


def test_tokens_for_a_thought_stand_beside_those_for_the_reply(tmp_path: Path) -> None:
    script = tmp_path / "replies.yaml"
    script.write_text("replies: [{reply: x}]")
    given = {"backend": "scripted", "replies": str(script)}
    plain, thinking = (
        load_judge(given, cache=None),
        load_judge({**given, "thinking_tokens": 2000}, cache=None),
    )
    assert thinking.sampling.max_tokens == plain.sampling.max_tokens
    assert thinking.sampling.most_tokens == plain.sampling.most_tokens + 2000
    assert "thinking_tokens" not in plain.info.sampling
    assert thinking.info.sampling["thinking_tokens"] == 2000
    with pytest.raises(ConfigError, match="thinking_tokens"):
        load_judge({**given, "thinking_tokens": -1}, cache=None)
