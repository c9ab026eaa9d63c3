"""What a setting says about itself: its variable, what it means and what is allowed, for errors and for the docs."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, SecretStr, SerializationInfo
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo

WITH_SECRETS = {"with_secrets": True}


class Section(BaseModel):
    """A group of settings; unknown keys are errors, and nothing changes after loading."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


def _serialize_secret(value: SecretStr, info: SerializationInfo) -> str:
    return value.get_secret_value() if info.context == WITH_SECRETS else str(value)


Secret = Annotated[SecretStr, PlainSerializer(_serialize_secret, when_used="unless-none")]
"""Hidden in every `repr` and dump but the one that asks for secrets."""


def setting(
    default: Any = ...,
    *,
    meaning: str,
    env: str | None = None,
    allowed: str | None = None,
    shown_default: str | None = None,
    **constraints: Any,
) -> Any:
    """A field of a Section.

    `allowed` is needed where the type and its bounds do not say it; `shown_default` where the default differs from
    machine to machine or between development and production.
    """
    extra: JsonDict = {"env": env, "allowed": allowed, "shown_default": shown_default}
    source = "default_factory" if callable(default) else "default"
    return Field(**{source: default}, description=meaning, json_schema_extra=extra, **constraints)


def extra(field: FieldInfo, key: str) -> str | None:
    """One of the texts that `setting` was given beyond the field's own."""
    values = field.json_schema_extra
    value = values.get(key) if isinstance(values, dict) else None
    return str(value) if value is not None else None


def is_secret(field: FieldInfo) -> bool:
    return SecretStr in _without_none(field.annotation)


def allowed(field: FieldInfo) -> str:
    """For people, in a few words: what a value of this field may be."""
    text = extra(field, "allowed")
    if text is not None:
        return text
    kinds = _without_none(field.annotation)
    if bool in kinds:
        return "true or false"
    for kind in kinds:
        if get_origin(kind) is Literal:
            return "one of " + ", ".join(map(str, get_args(kind)))
    lowest, highest = _bound(field, "ge"), _bound(field, "le")
    noun = "a whole number" if int in kinds else "a number"
    if lowest is not None and highest is not None:
        return f"{noun} from {lowest:,} to {highest:,}"
    return f"{noun} of at least {lowest:,}" if lowest is not None else noun


def _bound(field: FieldInfo, name: str) -> Any:
    return next((getattr(item, name) for item in field.metadata if hasattr(item, name)), None)


def _without_none(annotation: Any) -> tuple[Any, ...]:
    members = get_args(annotation) if get_origin(annotation) not in (None, Literal, tuple, dict) else (annotation,)
    return tuple(_bare(member) for member in members if member is not type(None))


def _bare(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
