"""`library call`: one gRPC call from the command line, for development and for looking into a running service."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from cluster.commands.dev import in_directory
from cluster.errors import CallError

TIMEOUT_S = 10.0


@click.command()
@in_directory
@click.argument("method")
@click.argument("request_json", default="{}", metavar="[JSON]")
@click.option("--target", help="host:port of the gRPC door.  [default: the one of the development service]")
@click.option("--certificate", type=click.Path(dir_okay=False, path_type=Path), help="Our certificate.")
@click.option("--key", type=click.Path(dir_okay=False, path_type=Path), help="Its key.")
@click.option("--ca", type=click.Path(dir_okay=False, path_type=Path), help="Who signed the door's certificate.")
@click.option("--token", help="A user's token, to call in that user's name.")
def call(  # noqa: PLR0917  # one option each
    directory: Path,
    method: str,
    request_json: str,
    target: str | None,
    certificate: Path | None,
    key: Path | None,
    ca: Path | None,
    token: str | None,
) -> None:
    """Call METHOD (CheckGameAccess, GetLibraryItems, ...) with a request in JSON; print the answer in JSON.

    A method that takes a stream gets the one message. Without options the development service is called, with the
    certificate that its stack made.
    """
    import grpc
    from google.protobuf import json_format

    from cluster.dev.certificates import DevelopmentCertificates
    from cluster.development import operator_settings

    path, request_type, response_type, streams = _method(method)
    try:
        message = json_format.Parse(request_json, request_type())
    except json_format.ParseError as wrong:
        raise CallError(f"not a {request_type.DESCRIPTOR.name}: {wrong}") from wrong
    settings = operator_settings(os.environ, directory)
    target = target or f"localhost:{settings.server.grpc_port}"
    if settings.grpc.plaintext:
        channel = grpc.insecure_channel(target)
    else:
        own = DevelopmentCertificates.of(directory)
        files = (ca or own.authority, key or own.client_key, certificate or own.client_certificate)
        channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(*(file.read_bytes() for file in files)))
    metadata = None if token is None else [("authorization", f"Bearer {token}")]
    with channel:
        make: Any = channel.stream_unary if streams else channel.unary_unary
        remote = make(
            path,
            request_serializer=request_type.SerializeToString,
            response_deserializer=response_type.FromString,
        )
        try:
            answer = remote(iter([message]) if streams else message, timeout=TIMEOUT_S, metadata=metadata)
        except grpc.RpcError as failed:
            status: Any = failed
            raise CallError(f"{status.code().name}: {status.details()}") from None
    click.echo(
        json_format.MessageToJson(answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    )


def _method(name: str) -> tuple[str, Any, Any, bool]:
    """Path, types and whether requests are a stream."""
    from google.protobuf.message_factory import GetMessageClass

    found = {method.name: (service, method) for service, method in _methods()}
    chosen = found.get(name.rpartition("/")[2])
    if chosen is None:
        raise CallError(f"there is no method {name}; there are {', '.join(sorted(found))}")
    service, method = chosen
    path = f"/{service.full_name}/{method.name}"
    return path, GetMessageClass(method.input_type), GetMessageClass(method.output_type), method.client_streaming


def _methods() -> Iterator[tuple[Any, Any]]:
    from grpc_health.v1 import health_pb2
    from library.v1 import library_query_service_pb2, library_session_service_pb2

    for file in (library_query_service_pb2, library_session_service_pb2, health_pb2):
        for service in file.DESCRIPTOR.services_by_name.values():
            yield from ((service, method) for method in service.methods if not method.server_streaming)
