"""Which errors are for the person at the terminal, and what they say there."""

from __future__ import annotations


def one_line(error: Exception) -> str | None:
    """What to show for an error that the caller can do something about; None for one that is a bug of ours.

    A part's error is followed by the end of that part's log, on lines of its own.
    """
    # the classes are imported here, after the fact, to keep every command's start light
    import asyncpg

    from actors.ingress.ports import BrokerUnavailable
    from actors.ports import StoreUnavailable
    from cluster.dev.errors import DevStackError
    from cluster.errors import CallError, DemoError, ServiceError
    from cluster.settings import SettingsError
    from persistence.kafka.dead_letter_box import OriginalGone
    from persistence.postgres.migrate import MigrationError

    match error:
        case SettingsError():
            return f"{error} (see docs/configuration.md)"
        case DevStackError() | MigrationError() | ServiceError() | DemoError() | CallError() | OriginalGone():
            return str(error)
        case asyncpg.PostgresError() | asyncpg.InterfaceError():
            return f"Postgres refuses: {_flat(error)}"
        case StoreUnavailable():
            return f"the database cannot be read now: {_flat(error)}; is everything running? (`library dev status`)"
        case BrokerUnavailable():
            return f"Kafka does not answer: {_flat(error)}; is it running? (`library dev status`)"
        case ConnectionError():
            return f"cannot connect: {_flat(error)}; is the server running? (`library dev status`)"
        case TimeoutError():
            return f"timed out: {_flat(error) or 'a server does not answer'}; is it running? (`library dev status`)"
        case PermissionError() | FileNotFoundError():
            return _flat(error)
        case _:
            return None


def _flat(error: Exception) -> str:
    return " ".join(str(error).split())
