"""Principles as vectors: by a sentence-transformers model, or by TF-IDF, which needs no download."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np

from judges.errors import ConfigError, MissingExtraError

TF_IDF = "tf-idf"


class Embedder(Protocol):
    """Turns texts into vectors whose angles tell how much they say the same. Any callable will do."""

    def __call__(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """One row a text (n x d), of any length."""
        ...


def embedder(model: str | None) -> Embedder:
    """The embedder of a recipe.

    Args:
        model: Name or folder of a sentence-transformers model; None for TF-IDF.

    Raises:
        MissingExtraError: If a library isn't installed.
    """
    if model is None:
        return tf_idf
    check_installed(model)

    def sentence_transformer(texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
        from sentence_transformers import SentenceTransformer

        try:
            loaded = SentenceTransformer(model, trust_remote_code=False)
        except (OSError, ValueError, RuntimeError) as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ConfigError(f"staple.cluster.embedding {model!r} can't be loaded: {first}") from error
        return np.asarray(loaded.encode(list(texts), show_progress_bar=False), dtype=np.float64)

    return sentence_transformer


def check_installed(model: str | None) -> None:
    """Refuses an embedding whose library isn't there.

    Raises:
        MissingExtraError: With the command that installs it.
    """
    module, name = (
        ("sklearn", "scikit-learn") if model is None else ("sentence_transformers", "sentence-transformers")
    )
    if find_spec(module) is None:
        raise MissingExtraError(name, "principles")


def tf_idf(texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """TF-IDF of character n-grams inside words: works in any language, and with inflected words."""
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
    except ModuleNotFoundError:
        raise MissingExtraError("scikit-learn", "principles") from None
    vectoriser = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True)
    return np.asarray(vectoriser.fit_transform(texts).toarray(), dtype=np.float64)
