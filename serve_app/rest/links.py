"""Links of a page to itself and the next: they keep the filters that were given (R-LIB-8)."""

from collections.abc import Mapping
from urllib.parse import urlencode


def link(path: str, parameters: Mapping[str, object]) -> str:
    given = {name: value for name, value in parameters.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path
