"""Loads the settings: environment over YAML over defaults, and words whatever is wrong as one line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from cluster.settings.fields import Section, allowed, extra, is_secret
from cluster.settings.model import Settings
from cluster.settings.sections import Database
from cluster.settings.sources import SettingsError, read_yaml

DEFAULT_FILE = Path("configs/library_config.yaml")
FILE_VARIABLE = "LIBRARY_CONFIG_FILE"

Location = tuple[str, ...]
_PROBLEMS = {"missing": "is missing", "extra_forbidden": "is unknown", "model_type": "is not a section"}


def load_settings(environ: Mapping[str, str], config_file: Path | None = None) -> Settings:
    """Raises SettingsError for the first thing that is wrong.

    Without `config_file`, the file is the one that LIBRARY_CONFIG_FILE names, or `configs/library_config.yaml` in the
    working directory if it exists. An empty variable counts as one that is not set.
    """
    values, from_environment, file = _collect(environ, config_file)
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(_one_line(error, (), from_environment, file)) from None
    _check_files(settings)
    return settings


def load_database(environ: Mapping[str, str], config_file: Path | None = None) -> Database:
    """The `database` section alone, for commands that need no other; raises SettingsError for what is wrong in it."""
    values, from_environment, file = _collect(environ, config_file)
    try:
        return Database.model_validate(values["database"])
    except ValidationError as error:
        raise SettingsError(_one_line(error, ("database",), from_environment, file)) from None


def _collect(environ: Mapping[str, str], config_file: Path | None) -> tuple[dict[str, Any], set[Location], Path | None]:
    """The values before any check, which of them are the environment's, and the file that was read."""
    file = config_file or _configured_file(environ)
    values = read_yaml(file, environ) if file is not None else {}
    from_environment: set[Location] = set()
    for location, field in all_fields(Settings):
        name = extra(field, "env")
        if name is not None and environ.get(name):
            _put(values, location, environ[name])
            from_environment.add(location)
    for section in ("database", "kafka"):
        values.setdefault(section, {})
    return values, from_environment, file


def all_fields(section: type[Section], prefix: Location = ()) -> Iterator[tuple[Location, FieldInfo]]:
    """Every setting, depth first in the order of the model, with the names that lead to it."""
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from all_fields(kind, (*prefix, name))
        else:
            yield (*prefix, name), field


def _configured_file(environ: Mapping[str, str]) -> Path | None:
    named = environ.get(FILE_VARIABLE)
    if named:
        return Path(named)
    return DEFAULT_FILE if DEFAULT_FILE.is_file() else None


def _put(values: dict[str, Any], location: Location, value: str) -> None:
    for name in location[:-1]:
        inner = values.get(name)
        if not isinstance(inner, dict):
            inner = values[name] = {}
        values = inner
    values[location[-1]] = value


def _one_line(error: ValidationError, prefix: Location, from_environment: set[Location], file: Path | None) -> str:
    first = error.errors(include_url=False)[0]
    found = (*prefix, *first["loc"])
    location = _setting_location(found)
    field = dict(all_fields(Settings)).get(location)
    if first["type"] == "relation":
        return first["msg"]
    key = ".".join(str(part) for part in (location or found))
    variable = extra(field, "env") if field is not None else None
    if variable is not None and (location in from_environment or first["type"] == "missing"):
        where = variable
    else:
        where = f"{file}: {key}" if file is not None else key
    if field is None:
        expected = _known_keys(found[:-1]) if first["type"] == "extra_forbidden" else "a mapping"
        return f"{where}: {_PROBLEMS.get(first['type'], first['msg'])}; allowed: {expected}"
    problem = _PROBLEMS.get(first["type"]) or _problem(first, field)
    return f"{where}: {problem}; allowed: {allowed(field)}"


def _setting_location(found: tuple[int | str, ...]) -> Location:
    """Errors inside of a list or mapping belong to the setting that holds it."""
    known = dict(all_fields(Settings))
    names = tuple(str(part) for part in found)
    return next((names[:length] for length in range(len(names), 0, -1) if names[:length] in known), ())


def _problem(error: Any, field: FieldInfo) -> str:
    if is_secret(field):
        return "its value is not accepted (it is secret and not shown)"
    shown = repr(error["input"])
    return f"{shown if len(shown) <= 80 else shown[:77] + '...'} is not accepted"


def _known_keys(location: tuple[int | str, ...]) -> str:
    section: Any = Settings
    for name in location:
        section = section.model_fields[str(name)].annotation
    return ", ".join(section.model_fields)


def _check_files(settings: Settings) -> None:
    """Only on the machine that loads the settings; other processes get them checked."""
    for location, field in all_fields(Settings):
        value: Any = settings
        for name in location:
            value = getattr(value, name)
        if location[-1].endswith("_file") and value is not None and not value.is_file():
            name = extra(field, "env") or ".".join(location)
            raise SettingsError(f"{name}: {str(value)!r} is no file that exists; allowed: {allowed(field)}")
