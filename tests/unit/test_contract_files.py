"""The files that clients are made from are what the code says (docs/api)."""

from pathlib import Path
from typing import Any

import yaml

from cluster import asyncapi
from serve_app.rest import contract

API = Path(__file__).parents[2] / "docs" / "api"


def test_the_committed_openapi_document_is_the_code_s() -> None:
    committed = (API / "openapi.json").read_text()
    assert committed == contract.committed_text(), "run: python -m serve_app.rest.contract > docs/api/openapi.json"


def test_the_committed_asyncapi_document_is_the_schemas() -> None:
    committed = (API / "asyncapi.yaml").read_text()
    assert committed == asyncapi.committed_text(), "run: python -m cluster.asyncapi > docs/api/asyncapi.yaml"


def test_every_topic_is_a_channel_and_every_reference_leads_somewhere() -> None:
    """R-EVT-6"""
    document: dict[str, Any] = yaml.safe_load((API / "asyncapi.yaml").read_text())
    assert set(asyncapi._default_topics().values()) <= set(document["channels"])

    def resolve(node: Any) -> None:
        if isinstance(node, dict):
            reference = node.get("$ref", "")
            if reference.startswith("#/"):
                place: Any = document
                for name in reference[2:].split("/"):
                    place = place[name]
            elif reference:
                assert (API / reference).is_file(), reference
            for value in node.values():
                resolve(value)
        elif isinstance(node, list):
            for value in node:
                resolve(value)

    resolve(document)
