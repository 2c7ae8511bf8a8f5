"""What a card says that the run folder doesn't know: names on the hub, and the base model's licence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from anchor_train.recipes.training_settings import ModelSettings
from judges.output.notices import tell

if TYPE_CHECKING:
    from huggingface_hub import CardData, HfApi

_LICENCE_KEYS = ("license", "license_name", "license_link")
_CARD = "README.md"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a card says beside what the run knows.

    Attributes:
        name: The model's own name on the hub; None if it goes nowhere.
        base_model: The base model's name on the hub, where the run has it as a folder.
        licence: The base model's licence as its own card has it: ``license``, and of one that isn't on
            the hub's list ``license_name`` and ``license_link``. Empty if it isn't known.
        data_sets: Data sets on the hub that the training questions are from, where the run has them as files.
    """

    name: str | None = None
    base_model: str | None = None
    licence: Mapping[str, str] = field(default_factory=dict)
    data_sets: tuple[str, ...] = ()


def licence_of(
    model: ModelSettings, base_model: str | None = None, api: HfApi | None = None
) -> dict[str, str]:
    """The base model's licence, from its card: beside its weights, in the cache, or on the hub.

    Args:
        model: The base model.
        base_model: Its name on the hub, where ``model`` is a folder.
        api: The hub's client; None asks nobody.

    Returns:
        As :attr:`Facts.licence`.
    """
    card = _local_card(model)
    if card is not None and (found := _licence_in(card)):
        return found
    name = base_model or (None if Path(model.name).exists() else model.name)
    if api is None or name is None:
        return {}
    from huggingface_hub.errors import HfHubHTTPError

    try:
        data = api.model_info(name, revision=model.revision).card_data
    except (HfHubHTTPError, OSError) as error:
        tell(f"warning: the hub says nothing of {name}: {str(error).splitlines()[0]}")
        return {}
    return {} if data is None else _picked(data)


def _local_card(model: ModelSettings) -> Path | None:
    path = Path(model.name) / _CARD
    if path.is_file():
        return path
    if Path(model.name).exists():
        return None
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        cached = try_to_load_from_cache(model.name, _CARD, revision=model.revision)
    except HFValidationError:
        return None
    return Path(cached) if isinstance(cached, str) else None


def _licence_in(card: Path) -> dict[str, str]:
    import yaml
    from huggingface_hub import ModelCard

    try:
        return _picked(ModelCard.load(card).data)
    except (ValueError, TypeError, yaml.YAMLError):
        return {}


def _picked(data: CardData) -> dict[str, str]:
    return {key: value for key in _LICENCE_KEYS if isinstance(value := data.get(key), str)}
