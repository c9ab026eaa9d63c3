"""Where a door has the keys of tokens from, as its settings say."""

import time

from serve_app.jwks import KeySource
from serve_app.jwks_file import JwksFile
from serve_app.jwks_url import JwksUrl
from serve_app.settings import AuthSettings


def key_source(auth: AuthSettings) -> KeySource | None:
    """None when only HS256 tokens or a gateway are believed."""
    if auth.jwks_url is not None:
        return JwksUrl(auth.jwks_url, refresh_s=auth.jwks_refresh_s, monotonic=time.monotonic)
    if auth.jwks_file is not None:
        return JwksFile(auth.jwks_file, check_s=auth.jwks_check_s, monotonic=time.monotonic)
    return None
