"""What an authenticator needs, put together. One serves all doors of a process: a token is verified once, whichever
door it comes through, and a key that is withdrawn is withdrawn at both."""

import time

from prometheus_client import CollectorRegistry

from serve_app.auth import Authenticator
from serve_app.jwks import KeySource
from serve_app.jwks_file import JwksFile
from serve_app.jwks_url import JwksUrl
from serve_app.metrics import AuthMetrics
from serve_app.ports import TokenCheck
from serve_app.settings import AuthSettings


def new_authenticator(
    auth: AuthSettings, *, registry: CollectorRegistry, token_check: TokenCheck | None = None
) -> Authenticator:
    """Its figures are added to ``registry``; each door that is given it keeps its keys fresh."""
    metrics = AuthMetrics()
    registry.register(metrics)
    return Authenticator(
        auth,
        keys=_key_source(auth),
        real_now=time.time,
        count_failure=metrics.count_failure,
        second_check=token_check,
    )


def _key_source(auth: AuthSettings) -> KeySource | None:
    """None when only HS256 tokens or a gateway are believed."""
    if auth.jwks_url is not None:
        return JwksUrl(auth.jwks_url, refresh_s=auth.jwks_refresh_s, monotonic=time.monotonic)
    if auth.jwks_file is not None:
        return JwksFile(auth.jwks_file, check_s=auth.jwks_check_s, monotonic=time.monotonic)
    return None
