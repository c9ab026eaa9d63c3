"""The contract of the events, in and out, made from ``docs/events``; a test keeps the committed file equal to it.

python -m cluster.asyncapi > docs/api/asyncapi.yaml
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

from cluster.settings.load import all_fields
from cluster.settings.model import Settings

EVENTS = Path(__file__).parents[1] / "docs" / "events"
PUBLISHED = "library."
Part = dict[str, Any]

DESCRIPTION = """\
What the Library Service publishes and consumes on Kafka. Topics have the names that are its defaults; each can be set
(docs/configuration.md).

Published messages are CloudEvents 1.0 in structured JSON, keyed by user id. The events of a user come in order; one may
come twice, then with the same `id`. Consumed messages may also be CloudEvents in binary form (`ce_*` headers), or the
bare `data`, where the topic says the type. What cannot be processed is put on the topic of dead letters as it was, and
blocks nobody.
"""
_CLOUD_EVENT: Part = {
    "type": "object",
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "minLength": 1, "description": "The same for an event that comes again"},
        "source": {"type": "string", "minLength": 1},
        "type": {"type": "string", "minLength": 1},
        "subject": {"type": "string", "description": "The entity's id"},
        "time": {"type": "string", "format": "date-time"},
        "partitionkey": {"type": "string", "description": "The user's id"},
        "datacontenttype": {"type": "string"},
        "traceparent": {"type": "string", "description": "W3C Trace Context"},
    },
    "required": ["specversion", "id", "source", "type", "data"],
}
_DEAD_LETTER_HEADERS: Part = {
    "type": "object",
    "properties": {
        "dead-letter-reason": {"type": "string", "description": "One word"},
        "dead-letter-detail": {"type": "string", "description": "For people"},
        "dead-letter-topic": {"type": "string", "description": "Where it came from"},
        "dead-letter-partition": {"type": "string"},
        "dead-letter-offset": {"type": "string"},
        "dead-letter-timestamp-ms": {"type": "string"},
        "dead-letter-event-id": {"type": "string", "description": "Its CloudEvent id, if it could be read"},
        "dead-letter-truncated": {
            "const": "1",
            "description": "It was too large: the original's place is all there is",
        },
        "dead-letter-replays": {"type": "string", "description": "How often `library dlq replay` sent it before"},
        "dead-letter-resolved": {
            "enum": ["replayed", "dropped"],
            "description": "No letter, but what became of the one that came from this place",
        },
    },
    "required": ["dead-letter-topic", "dead-letter-partition", "dead-letter-offset", "dead-letter-timestamp-ms"],
}


def document() -> Part:
    """AsyncAPI 3.0."""
    schemas = {file.stem: json.loads(file.read_text()) for file in sorted(EVENTS.glob("*.json"))}
    published = [name for name in schemas if name.startswith(PUBLISHED)]
    consumed = [name for name in schemas if not name.startswith(PUBLISHED)]
    topics = _default_topics()
    out = topics["topic_library_events"]
    channels = {out: _channel(out, published), **{name: _channel(name, [name]) for name in consumed}}
    dead = topics["topic_dead_letters"]
    channels[dead] = _channel(dead, [dead])
    messages = {name: _message(name, schema) for name, schema in schemas.items()}
    messages[dead] = {
        "title": "A message that could not be processed, as it was",
        "contentType": "application/octet-stream",
        "headers": _DEAD_LETTER_HEADERS,
        "payload": {},
    }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Library Service", "version": "1", "description": DESCRIPTION},
        "defaultContentType": "application/cloudevents+json",
        "channels": channels,
        "operations": {
            "publish": _operation("send", out, published),
            "bury": _operation("send", dead, [dead]),
            **{f"consume.{name}": _operation("receive", name, [name]) for name in consumed},
        },
        "components": {"messages": messages, "schemas": {"CloudEvent": _CLOUD_EVENT}},
    }


def _default_topics() -> dict[str, str]:
    return {
        location[-1]: str(field.default)
        for location, field in all_fields(Settings)
        if location[0] == "kafka" and location[-1].startswith("topic_")
    }


def _channel(topic: str, types: list[str]) -> Part:
    return {"address": topic, "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in types}}


def _operation(action: str, topic: str, types: list[str]) -> Part:
    channel = f"#/channels/{topic}"
    return {
        "action": action,
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{name}"} for name in types],
    }


def _message(name: str, schema: Part) -> Part:
    data = {"type": {"const": name}, "data": {"$ref": f"../events/{name}.json"}}
    return {
        "name": name,
        "title": name,
        "summary": schema.get("description", ""),
        "payload": {"allOf": [{"$ref": "#/components/schemas/CloudEvent"}, {"type": "object", "properties": data}]},
        "bindings": {"kafka": {"key": {"type": "string", "description": "The user's id"}}},
    }


def committed_text() -> str:
    """``docs/api/asyncapi.yaml``."""
    made: str = yaml.dump(document(), Dumper=_Readable, sort_keys=False, allow_unicode=True, width=120)
    return made


class _Readable(yaml.SafeDumper):
    """Text of several lines as such."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Readable.add_representer(str, _text)


if __name__ == "__main__":
    sys.stdout.write(committed_text())
