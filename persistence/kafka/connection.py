"""How to reach Kafka: brokers, TLS and SASL (R-EVT-6, R-SEC-5)."""

from dataclasses import dataclass, field
from typing import Any, Literal

from aiokafka.errors import KafkaError
from aiokafka.helpers import create_ssl_context

KAFKA_ERRORS = (KafkaError, OSError)
"""What a broker's absence looks like: ``TimeoutError`` is an ``OSError``."""

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


@dataclass(frozen=True, kw_only=True)
class KafkaConnection:
    """``brokers`` is ``host:port,host:port``; file names are of PEM files. ``request_timeout_s`` is a request's."""

    brokers: str
    security_protocol: SecurityProtocol = "PLAINTEXT"
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    key_password: str | None = field(default=None, repr=False)
    sasl_mechanism: SaslMechanism = "SCRAM-SHA-512"
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    request_timeout_s: float = 10.0

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments that every aiokafka client understands."""
        arguments: dict[str, Any] = {
            "bootstrap_servers": self.brokers,
            "security_protocol": self.security_protocol,
            "request_timeout_ms": int(self.request_timeout_s * 1000),
            "metadata_max_age_ms": 30_000,
            "retry_backoff_ms": 250,
        }
        if self.security_protocol.endswith("SSL"):
            arguments["ssl_context"] = create_ssl_context(
                cafile=self.ca_file,
                certfile=self.certificate_file,
                keyfile=self.key_file,
                password=self.key_password,
            )
        if self.security_protocol.startswith("SASL"):
            arguments["sasl_mechanism"] = self.sasl_mechanism
            arguments["sasl_plain_username"] = self.sasl_username
            arguments["sasl_plain_password"] = self.sasl_password
        return arguments
