"""`docs/configuration.md`, generated from the model so that the two cannot differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from cluster.settings.fields import allowed, extra
from cluster.settings.load import DEFAULT_FILE, FILE_VARIABLE, all_fields
from cluster.settings.model import Settings

HEAD = f"""\
# Configuration

<!-- Generated: `python -m cluster.settings --markdown > docs/configuration.md` -->

A variable of the environment beats the YAML file, which beats the default. The file is the one that `{FILE_VARIABLE}`
names, or `{DEFAULT_FILE}` in the working directory if it exists; in it, `${{VAR}}` and `${{VAR:-default}}` are replaced
from the environment. An empty variable counts as one that is not set. A wrong value, an unknown key of the file, and
settings that contradict each other stop the start with one line that says what is allowed.

In development the HTTP door and the links are on 127.0.0.1 and secrets have well-known values. Production refuses to
start without `LIBRARY_CLUSTER_SECRET`, without a JWKS unless `AUTH_TRUST_GATEWAY=true`, with `AUTH_JWT_HS256_SECRET`,
with a `LIBRARY_CLOCK_RATE` other than 1, and with any connection without TLS that `LIBRARY_PLAINTEXT` does not name. A
session's time-out is at least two heartbeat intervals.
"""
COLUMNS = "| YAML key | variable | default | allowed | meaning |\n|---|---|---|---|---|"


def markdown() -> str:
    lines = [HEAD, COLUMNS]
    for location, field in all_fields(Settings):
        variable = extra(field, "env")
        cells = [f"`{'.'.join(location)}`", f"`{variable}`" if variable else "", _default(field)]
        cells += [allowed(field), field.description or ""]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _default(field: FieldInfo) -> str:
    shown = extra(field, "shown_default")
    if shown is not None:
        return shown
    default: Any = field.get_default(call_default_factory=True, validated_data={})
    if default is PydanticUndefined:
        return "required"
    if default is None:
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, float):
        return f"{default:g}"
    return str(default) if isinstance(default, str | int | Path) else repr(default)
