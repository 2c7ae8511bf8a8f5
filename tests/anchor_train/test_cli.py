"""``anchor-train`` as a user meets it: a process, its exit code, one line for each mistake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from anchor_train.cli import COMMANDS, main
from anchor_train.run.run_folder import RunFolder
from anchor_train.stages.registry import commands
from tests.anchor_train.scripted_run import finish_sft, make_run, write_rows
from tests.tiny_models import make_tiny_model

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "transformers", "vllm", "openai", "lm_eval", "trl", "peft", "datasets", "numpy", "pydantic")


def call(*arguments: str | Path) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    found = CliRunner().invoke(main, [str(argument) for argument in arguments])
    return found.exit_code, found.stdout, found.stderr


def refused(*arguments: str | Path) -> str:
    """The one line that a mistake is answered with."""
    code, out, err = call(*arguments)
    assert code != 0
    assert out == ""
    lines = [line for line in err.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1, err
    assert "Traceback" not in err
    return lines[0]


def test_importing_the_package_loads_no_engine():
    code = (
        "import sys, anchor_train, anchor_train.recipes.config, anchor_train.pipeline.pipeline, "
        "anchor_train.cli, anchor_train.records, anchor_train.preferences.pairs\n"
        f"print([name for name in {HEAVY[:8]!r} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"


def test_help_needs_none_of_the_heavy_libraries():
    code = (
        "import sys\nfrom anchor_train.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        f"print([name for name in {HEAVY[:8]!r} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.splitlines()[-1] == "[]"
    assert "anchor-train init" in found.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name):
    code, out, _ = call(name, "--help")
    assert code == 0
    assert f"anchor-train {name}" in out


def test_every_stage_has_its_command():
    assert set(commands()) < set(COMMANDS)


def test_an_unknown_command_is_answered_with_the_nearest():
    code, _, err = call("evalute")
    assert code != 0
    assert "did you mean 'evaluate'?" in err


# --- init


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "data", train=4, validation=3) / "train.jsonl"


def init(tmp_path: Path, *arguments: str | Path) -> tuple[int, str, str]:
    return call("init", tmp_path / "run", "--task", "arc_challenge_explain", *arguments)


def test_init_writes_a_commented_recipe_that_loads(tmp_path, tiny_model, data):
    code, out, err = init(tmp_path, "--model", tiny_model, "--data-dir", data)
    assert code == 0, err
    assert "anchor-train run" in out
    text = (tmp_path / "run" / "recipe.yaml").read_text()
    assert text.count("#") > 8
    recipe = RunFolder.open(tmp_path / "run").recipe()
    assert recipe.model.name == str(tiny_model)
    assert recipe.evaluate.n == 4


def test_init_can_write_the_papers_recipe_out(tmp_path, tiny_model, data):
    code, _, err = init(tmp_path, "--model", tiny_model, "--data-dir", data, "--recipe", "paper")
    assert code == 0, err
    written = yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())
    assert (written["sft"]["lora"]["r"], written["dpo"]["max_steps"]) == (256, 2600)
    assert written["model"] == str(tiny_model)


def test_init_keeps_a_folder_that_is_not_empty(tmp_path, tiny_model, data):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine").touch()
    assert "not an empty folder" in refused(
        "init", tmp_path / "run", "--model", tiny_model, "--task", "arc_challenge_explain", "--data-dir", data
    )


@pytest.mark.parametrize("recipe", ["auto", "default", "small", "paper"])
def test_init_evaluates_on_the_split_that_local_files_have(tmp_path, tiny_model, recipe):
    rows = write_rows(tmp_path / "data", train=4, validation=3)
    code, _, err = init(tmp_path, "--model", tiny_model, "--data-dir", rows, "--recipe", recipe)
    assert code == 0, err
    assert RunFolder.open(tmp_path / "run").recipe().evaluate.split == "validation"
    (rows / "test.jsonl").write_bytes((rows / "validation.jsonl").read_bytes())
    (tmp_path / "run" / "recipe.yaml").unlink()
    init(tmp_path, "--model", tiny_model, "--data-dir", rows, "--recipe", recipe)
    assert RunFolder.open(tmp_path / "run").recipe().evaluate.split is None


def test_init_warns_of_an_evaluation_on_training_questions(tmp_path, tiny_model, data):
    _, _, err = init(tmp_path, "--model", tiny_model, "--data-dir", data)
    assert "evaluated on the very questions they are trained on" in err


# --- mistakes, each one line


def test_a_model_path_that_is_none(tmp_path, data):
    (tmp_path / "empty").mkdir()
    for model in (tmp_path / "absent", tmp_path / "empty"):
        message = refused(
            *("init", tmp_path / "run", "--model", model, "--task", "arc_challenge_explain"),
            *("--data-dir", data),
        )
        assert str(model) in message
    assert not (tmp_path / "run").exists()
    assert "no such folder" in refused(
        *("init", tmp_path / "run", "--model", "./absent", "--task", "arc_challenge_explain"),
        *("--data-dir", data),
    )


def test_local_files_without_a_split_to_evaluate_on(tmp_path, tiny_model):
    rows = write_rows(tmp_path / "data", train=4)
    (rows / "validation.jsonl").unlink()
    message = refused(
        "init", tmp_path / "run", "--model", tiny_model, "--task", "arc_challenge_explain", "--data-dir", rows
    )
    assert "evaluate.split" in message


def test_a_tokenizer_without_chat_template_and_how_to_give_one(tmp_path, data):
    model = make_tiny_model(tmp_path / "bare", chat_template=None)
    message = refused(
        *("init", tmp_path / "run", "--model", model, "--task", "arc_challenge_explain", "--data-dir", data)
    )
    assert "chat_template" in message


def test_a_task_without_a_split_to_train_on(tmp_path, tiny_model):
    task = tmp_path / "mine.yaml"
    source = yaml.safe_load(
        (ROOT / "lm_eval_tasks" / "tasks" / "arc_challenge_explain.yaml")
        .read_text()
        .replace("class: !function", "class:")
    )
    task.write_text(yaml.safe_dump({**source, "task": "mine", "training_split": None}))
    message = refused("init", tmp_path / "run", "--model", tiny_model, "--task", task)
    assert "no split 'train' to train on (it has: validation, test)" in message


def test_several_mistakes_in_one_line(tmp_path, data):
    message = refused(
        *("init", tmp_path / "run", "--model", tmp_path / "none", "--task", "arc_challange_explain"),
        *("--data-dir", data),
    )
    assert "no such folder" in message
    assert "did you mean 'arc_challenge_explain'" in message


def test_a_typo_in_a_recipe(tmp_path, tiny_model):
    run = make_run(tmp_path, tiny_model)
    message = refused("run", run.path, "--set", "dpo.bta=0.2", "--set", "pairs.looser=minimum")
    assert "did you mean 'beta'" in message
    assert "did you mean 'loser'" in message


def test_backends_that_there_are_not(tmp_path, tiny_model):
    run = make_run(tmp_path, tiny_model)
    message = refused(
        *("run", run.path, "--set", "engine=transformer", "--set", "judge=opena:m@http://x"),
        *("--set", "consultant.backend={backend: vlm}"),
    )
    for part in ("engine: no backend 'transformer'", "judge: no backend 'opena'", "did you mean 'vllm'"):
        assert part in message


def test_a_run_folder_that_is_none(tmp_path):
    assert "no run folder" in refused("status", tmp_path)


def test_a_run_in_use(tmp_path, tiny_model):
    run = make_run(tmp_path, tiny_model)
    code = (
        "import sys, time\nfrom anchor_train.run.run_folder import RunFolder\n"
        "with RunFolder.open(sys.argv[1]).lock():\n print('held', flush=True)\n time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(run.path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        message = refused("run", run.path)
        other.kill()
    assert f"in use by another process (pid {other.pid})" in message


def test_evaluation_data_that_is_missing_shows_before_training(tmp_path, tiny_model):
    run = make_run(tmp_path, tiny_model)
    (tmp_path / "data" / "validation.jsonl").unlink()
    assert "validation" in refused("run", run.path)


# --- results


def test_status_and_show_for_people_and_machines(tmp_path, tiny_model, tiny_adapter):
    run = make_run(tmp_path, tiny_model)
    finish_sft(run, tiny_adapter)
    code, out, err = call("sample", run.path, "--json")
    assert code == 0, err
    assert [row["stage"] for row in json.loads(out)["stages"]] == ["round-1/sample"]
    code, out, _ = call("status", run.path)
    assert "round-1/judge" in out
    assert "next: round-1/judge (missing)" in out
    code, out, _ = call("status", run.path, "--json")
    assert json.loads(out)["next"] == "round-1/judge"
    code, out, _ = call("show", run.path, "--stage", "sample", "-n", "1")
    assert out.count("--- sample ") == 4
    code, out, _ = call("show", run.path, "--stage", "sample", "-n", "2", "--json")
    assert [row["stage"] for row in json.loads(out)] == ["round-1/sample"] * 2


def test_the_same_judge_for_training_and_evaluation_is_warned_of(tmp_path, tiny_model):
    run = make_run(tmp_path, tiny_model)
    _, _, err = call("status", run.path)
    assert "warning: the evaluation judge is the training judge" in err
    _, _, err = call("show", run.path, "--stage", "questions")
    assert "warning" not in err, "said by what does the work"
    other = {"judge": f"scripted:{tmp_path / 'consultant.yaml'}", "n": 2, "split": "validation"}
    _, _, err = call("status", run.path, "--set", f"evaluate={json.dumps(other)}")
    assert "warning" not in err


def test_a_dry_run_does_nothing_and_shows_the_loss_mask(tmp_path, tiny_model):
    run = make_run(tmp_path, tiny_model)
    before = sorted(run.path.rglob("*"))
    code, out, err = call("run", run.path, "--dry-run")
    assert code == 0, err
    assert sorted(run.path.rglob("*")) == before
    assert out.count("--- with loss, a token in each bracket") == 3
    assert "draws 4 replies to each of 12 questions" in out
    # 12 x 4 replies and as many judgements, 12 arguments; 4 models answer 3 questions twice and are judged.
    assert f"at most {12 * 4 * 2 + 12 + 4 * 3 * 2 * 2} completions in all" in out
    code, out, _ = call("sft", run.path, "--dry-run", "--json")
    planned = json.loads(out)["stages"]
    assert [(row["stage"], row["steps"]) for row in planned] == [("questions", None), ("sft", 2)]
    assert planned[1]["tokens"] > 100


def test_settings_of_the_command_line_can_be_written_into_the_recipe(tmp_path, tiny_model, tiny_adapter):
    run = make_run(tmp_path, tiny_model)
    finish_sft(run, tiny_adapter)
    code, _, err = call("sample", run.path, "--set", "sampler.n=2")
    assert code == 0, err
    code, out, err = call("status", run.path)
    assert "with the settings of the last run: --set sampler.n=2" in err
    assert "next: round-1/judge (missing)" in out
    before = run.recipe_path.read_text()
    code, _, err = call("sample", run.path, "--set", "sampler.n=2", "--save-set", "--dry-run")
    assert code == 0, err
    assert "left as it is by --dry-run" in err
    assert run.recipe_path.read_text() == before
    code, _, err = call("sample", run.path, "--set", "sampler.n=2", "--save-set")
    assert code == 0, err
    assert run.recipe().sampler.n == 2
    assert "round-1/sample: finished" in err
    code, _, err = call("status", run.path)
    assert "settings of the last run" not in err


def test_show_and_export_find_what_another_setting_made(tmp_path, tiny_model, tiny_adapter):
    run = make_run(tmp_path, tiny_model)
    finish_sft(run, tiny_adapter)
    code, _, err = call("export", run.path, "-o", tmp_path / "out", "--set", "sft.lora.r=16")
    assert code == 0, err
    assert "warning: sft is as it was trained before: sft.lora.r: 4 -> 16" in err
    assert (tmp_path / "out" / "adapter_model.safetensors").is_file()


def test_a_finished_training_is_not_lost_to_a_forgotten_setting(tmp_path, tiny_model, tiny_adapter):
    run = make_run(tmp_path, tiny_model)
    finish_sft(run, tiny_adapter)
    message = refused("run", run.path, "--set", "sft.max_steps=1")
    assert "finished training would be done anew: sft (sft: sft.max_steps: 2 -> 1)" in message
    assert "--redo" in message
    assert (run.stage("sft") / "adapter").is_dir()


def test_init_says_which_recipe_it_takes_and_why(tmp_path, tiny_model, data):
    code, _, err = init(tmp_path, "--model", tiny_model, "--data-dir", data)
    assert code == 0
    assert "Recipe small: a model of 0." in err
    recipe = RunFolder.open(tmp_path / "run").recipe()
    assert (recipe.sft.target, recipe.sft.lora.r, recipe.consultant.check) == ("form", 16, True)


def test_export_before_training_says_so(tmp_path, tiny_model):
    run = make_run(tmp_path, tiny_model)
    assert "nothing is trained yet" in refused("export", run.path, "-o", tmp_path / "out")
    assert "did you mean 'anchor'" in refused("export", run.path, "-o", tmp_path / "out", "--model", "ancho")


def test_export_writes_the_adapter_with_its_card(tmp_path, tiny_model, tiny_adapter):
    run = make_run(tmp_path, tiny_model)
    finish_sft(run, tiny_adapter)
    code, out, err = call("export", run.path, "-o", tmp_path / "out", "--json")
    assert code == 0, err
    assert json.loads(out)["model"] == "sft"
    card = (tmp_path / "out" / "README.md").read_text()
    for part in ("## Data", "12 training questions", "Not evaluated.", "max_steps: 2", "arXiv 2410.13216"):
        assert part in card
    assert (tmp_path / "out" / "adapter_model.safetensors").is_file()
    assert not list((tmp_path / "out").glob("*.bin"))


def test_as_a_module_it_is_the_same_command(tmp_path):
    found = subprocess.run(
        [sys.executable, "-m", "anchor_train", "status", str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert found.returncode == 1
    assert found.stderr.startswith("Error: ")
    assert found.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "# mine\nextends: small\nsft: {epochs: 1}\nsft: {epochs: 2}\n",
            "'sft' is given twice, in lines 3 and 4",
        ),
        ("- a\n", "expected settings"),
        ("extends: [", "not valid YAML"),
    ],
)
def test_a_recipe_to_begin_from_is_refused_by_its_own_name_and_lines(tmp_path, tiny_model, text, said):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(text)
    asked = ("--recipe", recipe, "--model", tiny_model, "--task", "openbookqa_explain")
    code, _, err = call("init", tmp_path / "run", *asked)
    assert code == 1
    assert f"{recipe}: " in err
    assert said in err
    assert not (tmp_path / "run").exists()
