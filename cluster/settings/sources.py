"""The YAML file of specification 7.2: sections of settings with `${VAR}` and `${VAR:-default}` inside of values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
FILE_MAX_BYTES = 1024 * 1024


class SettingsError(Exception):
    """The configuration is wrong: one line with the variable or key, what is wrong, and what is allowed."""


def read_yaml(file: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """Nested values; keys whose value is empty, or a lone `${VAR}` that is not set, are left out.

    As in a shell, an empty variable counts as one that is not set.
    """
    try:
        if file.stat().st_size > FILE_MAX_BYTES:
            raise SettingsError(f"{file}: is larger than {FILE_MAX_BYTES} bytes; a configuration file is expected")
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read ({error.strerror}); give another LIBRARY_CONFIG_FILE") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        problem = " ".join(str(error).split())
        raise SettingsError(f"{file}: is not YAML ({problem})") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingsError(f"{file}: is not a mapping; sections such as `server:` are expected")
    return _interpolate_mapping(content, environ, f"{file}: ")


def _interpolate_mapping(values: dict[Any, Any], environ: Mapping[str, str], path: str) -> dict[str, Any]:
    result = {}
    for key, value in values.items():
        interpolated = _interpolate(value, environ, f"{path}{key}")
        if interpolated is not None:
            result[str(key)] = interpolated
    return result


def _interpolate(value: Any, environ: Mapping[str, str], path: str) -> Any:
    if isinstance(value, dict):
        return _interpolate_mapping(value, environ, f"{path}.")
    if isinstance(value, list):
        return [_interpolate(item, environ, f"{path}[{index}]") for index, item in enumerate(value)]
    if not isinstance(value, str):
        return value
    whole = REFERENCE.fullmatch(value)
    if whole:
        return environ.get(whole[1]) or whole[2] or None

    def replacement(match: re.Match[str]) -> str:
        text = environ.get(match[1]) or match[2]
        if text is None:
            raise SettingsError(
                f"{path}: ${{{match[1]}}} is not set; set the variable or write ${{{match[1]}:-default}}"
            )
        return text

    return REFERENCE.sub(replacement, value)
