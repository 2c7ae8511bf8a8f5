"""Any OpenAI-compatible endpoint (vLLM, Ollama, llama.cpp, paid APIs). Under construction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from judges.backends.protocol import ChatBackend
from judges.errors import ConfigError


def create(settings: Mapping[str, Any]) -> ChatBackend:
    """Makes the backend from its settings."""
    raise ConfigError("the openai backend is not built yet")
