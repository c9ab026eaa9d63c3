"""The `library` command. Each subcommand is a file of its own in `cluster/commands/` and is imported when it is used.

`library NAME` is the click command (or group) NAME in `cluster/commands/NAME.py`. Commands raise what their parts
raise; what a person can do something about becomes one line and exit status 1 here.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import traceback
from collections.abc import Sequence

import click

import cluster.commands
from cluster.terminal.failures import one_line

INTERRUPTED = 130  # 128 + SIGINT, as shells have it


class CommandFolder(click.Group):
    """Finds its subcommands by file name, so that a command costs nothing until it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(module.name for module in pkgutil.iter_modules(cluster.commands.__path__))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command = getattr(importlib.import_module(f"cluster.commands.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=CommandFolder, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="library-service", prog_name="library")
@click.option("--debug", is_flag=True, help="Show the traceback of every error.")
def library(debug: bool) -> None:
    """The Library Service: who owns which game, live play sessions, exact playtime.

    \b
    On a developer's machine:  library run
    Its servers alone:         library dev up, then  eval "$(library dev env)"
    In production:             library migrate, then the service, configured by environment variables
                               and configs/library_config.yaml (all of them: docs/configuration.md)

    A failed command says in one line what to do, and exits with status 1.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Never returns; the exit status is 0, 1 for an error, 2 for wrong usage, 130 for Ctrl-C."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = library.main(given, prog_name="library", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - the outermost frame: whatever it is, it is reported
        line = one_line(error)
        if line is None or "--debug" in given:
            traceback.print_exc()
        if line is not None:
            click.echo(f"library: {line}", err=True)
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)
