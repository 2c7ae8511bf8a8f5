"""What stages and trainings import anyway, imported by the server that their processes are forked from."""

import importlib
import os
import signal

# Module -> the name in it that makes these packages, which import their parts on demand, import what we use.
_USED = {
    "transformers": "AutoModelForCausalLM",
    "peft": "PeftModel",
    "trl": "DPOTrainer",
    "lm_eval.evaluator": "simple_evaluate",
    "lm_eval.models.huggingface": "HFLM",
    "lm_eval_tasks.harness.kept": "KeptReplies",
    "lm_eval_tasks.harness.task": "ExplainTask",
    "anchor_train.pipeline.stage_process": "main",
    "anchor_train.training.worker": "main",
}

# Ctrl-C is for the process that started the server to answer, also while this is imported.
signal.signal(signal.SIGINT, signal.SIG_IGN)
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")  # datasets reads it when it is imported

for _module, _name in _USED.items():
    try:
        getattr(importlib.import_module(_module), _name)
    except ImportError:  # an extra that isn't installed: a stage that needs it says so
        continue
