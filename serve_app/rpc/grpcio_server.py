"""The other server: the same table over ``grpc.aio``, one setting away. Ten times the CPU, and everybody knows it."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import grpc
from grpc import aio

from actors.certificates import Certificates
from serve_app.rpc.codes import RpcError
from serve_app.rpc.methods import Kind, Method, Table
from serve_app.rpc.servicing import Arrival, Servicing
from serve_app.rpc.settings import RpcSettings

_log = logging.getLogger(__name__)

_CODES = {code.value[0]: code for code in grpc.StatusCode}
_COMPRESS_LOW = 1


class GrpcioServer:
    """``start`` once, then ``renew`` when the certificate's files have changed, ``stop`` once."""

    def __init__(self, servicing: Servicing, settings: RpcSettings, certificates: Certificates | None) -> None:
        self._servicing = servicing
        self._settings = settings
        self._certificates = certificates
        self._fresh = False
        self._server: aio.Server | None = None

    async def start(self) -> int:
        """The port, when connections are accepted; ``OSError``."""
        settings = self._settings
        largest = max(method.message_bytes for method in self._servicing.methods.values())
        self._server = aio.server(
            options=[
                ("grpc.so_reuseport", 1),
                ("grpc.max_receive_message_length", largest),
                ("grpc.max_concurrent_streams", settings.streams_per_connection),
                ("grpc.max_metadata_size", 16_384),
                ("grpc.server_handshake_timeout_ms", round(settings.handshake_timeout_s * 1000)),
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
                ("grpc.default_compression_level", _COMPRESS_LOW),
            ]
        )
        self._server.add_generic_rpc_handlers((_Handlers(self._servicing),))
        address = f"[{settings.host}]:{settings.port}" if ":" in settings.host else f"{settings.host}:{settings.port}"
        try:
            if self._certificates is None:
                port = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, self._credentials(self._certificates))
        except RuntimeError as failed:
            raise OSError(f"cannot listen on {address}: {failed}") from failed
        await self._server.start()
        return port

    async def renew(self) -> None:
        self._fresh = True

    def failed(self) -> bool:
        return self._server is None

    async def stop(self, grace_s: float) -> None:
        """No new connections; returns when the calls in work are answered, after ``grace_s`` at the latest."""
        if self._server is not None:
            await self._server.stop(grace_s)

    def _credentials(self, certificates: Certificates) -> grpc.ServerCredentials:
        def configuration() -> Any:
            pem = certificates.pem
            return grpc.ssl_server_certificate_configuration([(pem.key, pem.certificate)], root_certificates=pem.ca)

        def newest() -> Any:
            """Asked for at each handshake; None keeps what was given last."""
            fresh, self._fresh = self._fresh, False
            return configuration() if fresh else None

        return grpc.dynamic_ssl_server_credentials(configuration(), newest, require_client_authentication=True)


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in its stubs alone
    def __init__(self, servicing: Servicing) -> None:
        self._servicing = servicing
        methods: Table = servicing.methods
        self._handlers = {path: self._handler(method) for path, method in methods.items()}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        path = handler_call_details.method
        return self._handlers.get(path) or grpc.stream_stream_rpc_method_handler(self._nobody(path))

    def _handler(self, method: Method) -> Any:
        if method.kind is Kind.UNARY:
            return grpc.unary_unary_rpc_method_handler(self._unary(method))
        return grpc.stream_stream_rpc_method_handler(self._stream(method))

    def _unary(self, method: Method) -> Callable[..., Any]:
        async def handle(body: bytes, context: Any) -> bytes:
            try:
                return await self._servicing.answer(method, body, _arrival(context))
            except RpcError as error:
                await _abort(context, error)
                raise

        return handle

    def _stream(self, method: Method) -> Callable[..., Any]:
        async def handle(bodies: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
            try:
                stream = self._servicing.stream(method, aiter(bodies), _arrival(context))
                async with aclosing(stream) as messages:
                    async for message in messages:
                        yield message
            except RpcError as error:
                await _abort(context, error)

        return handle

    def _nobody(self, path: str) -> Callable[..., Any]:
        async def handle(_bodies: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
            await _abort(context, self._servicing.refuse(path))
            yield b""

        return handle


def _arrival(context: Any) -> Arrival:
    certificate = context.auth_context().get("x509_pem_cert")
    metadata = context.invocation_metadata() or ()
    authorization = tuple(value.encode("latin-1") for name, value in metadata if name == "authorization")
    traceparent = next((value.encode("latin-1") for name, value in metadata if name == "traceparent"), None)
    return Arrival(
        certificate[0].decode() if certificate else None, authorization, context.time_remaining(), traceparent
    )


async def _abort(context: Any, error: RpcError) -> None:
    await context.abort(_CODES[int(error.code)], error.message, (("grpc-status-details-bin", error.details()),))
