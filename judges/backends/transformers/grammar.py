"""Output forms as grammars of a tokenizer's tokens, by xgrammar: for what writes with ``transformers``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from judges.errors import ConfigError


def compile_regex(tokenizer: Any, vocabulary: int, ends: Sequence[int], regex: str) -> Any:
    """The grammar of all texts that an expression matches as a whole.

    Args:
        tokenizer: A Hugging Face tokenizer.
        vocabulary: How many scores the model gives; may be more than the tokenizer has tokens.
        ends: Tokens that end a reply.
        regex: The expression.

    Returns:
        A compiled grammar of xgrammar.

    Raises:
        ConfigError: If the expression can't be enforced.
    """
    import xgrammar

    tokens = xgrammar.TokenizerInfo.from_huggingface(
        tokenizer, vocab_size=vocabulary, stop_token_ids=list(ends)
    )
    try:
        return xgrammar.GrammarCompiler(tokens).compile_regex(regex)
    except RuntimeError as error:
        raise ConfigError(f"output form {regex!r} can't be enforced: {error}") from None
