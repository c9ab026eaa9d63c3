"""`library dlq`: events that could not be processed, for operators to look at, replay or drop (R-EVT-4)."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from cluster.commands.dev import in_directory

if TYPE_CHECKING:
    from persistence.kafka.dead_letter_box import DeadLetterBox, Letter, Message

SHOWN = 100
console = Console(highlight=False)

as_json = click.option("--json", "as_json", is_flag=True, help="For programs: JSON on standard output.")
Command = Callable[..., None]


@click.group()
def dlq() -> None:
    """Events from Kafka that could not be processed (the topic KAFKA_TOPIC_DEAD_LETTERS).

    Works beside `library run`, or on the Kafka that KAFKA_BROKERS names.
    """


def selection(command: Command) -> Command:
    """Which letters: by id, or all that have something in common."""
    for option in (
        click.argument("ids", nargs=-1),
        click.option("--reason", help="Those with this reason, for instance bad_payload."),
        click.option("--topic", help="Those that came from this topic."),
        click.option("--all", "everything", is_flag=True, help="All that are open."),
    ):
        command = option(command)
    return command


@dlq.command("list")
@in_directory
@as_json
@click.option("--reason", help="Those with this reason alone.")
@click.option("--topic", help="Those that came from this topic alone.")
@click.option("--resolved", is_flag=True, help="Also those that were replayed or dropped.")
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=SHOWN, show_default=True, help="How many, at most.")
def list_letters(
    *, directory: Path, as_json: bool, reason: str | None, topic: str | None, resolved: bool, limit: int
) -> None:
    """Show the open letters, the oldest first: why, from where, since when."""
    letters = [
        letter
        for letter in asyncio.run(_box(directory).letters())
        if (resolved or letter.outcome is None) and _matches(letter, reason, topic)
    ]
    if as_json:
        click.echo(json.dumps([_plain(letter) for letter in letters[:limit]], ensure_ascii=False, indent=2))
        return
    table = Table("id", "since", "topic", "reason", "detail", "event", "", box=None, pad_edge=False)
    for letter in letters[:limit]:
        table.add_row(
            letter.id, _time(letter.put_ms), letter.origin.topic, letter.reason, letter.detail[:60],
            letter.event_id or "", _state(letter),
        )  # fmt: skip
    if letters:
        console.print(table)
    more = f", {limit} of them shown" if len(letters) > limit else ""
    console.print(f"{len(letters)} dead letters{more}." if letters else "No dead letters.")


@dlq.command()
@in_directory
@as_json
@click.argument("letter_id", metavar="ID")
def show(letter_id: str, directory: Path, as_json: bool) -> None:
    """Show one letter with its message."""

    async def read() -> tuple[Letter, Message]:
        box = _box(directory)
        (letter,) = _chosen(await box.letters(), (letter_id,), None, None, everything=False, resolved=True)
        return letter, await box.message(letter)

    letter, message = asyncio.run(read())
    headers = {name: text.decode("utf-8", "replace") for name, text in message.headers}
    value = (message.value or b"").decode("utf-8", "replace")
    if as_json:
        click.echo(json.dumps({**_plain(letter), "headers": headers, "value": value}, ensure_ascii=False, indent=2))
        return
    for name, text in _plain(letter).items():
        console.print(f"[bold]{name}[/bold]  {text}" if text is not None else f"[dim]{name}[/dim]", markup=True)
    for name, text in headers.items():
        console.print(f"header {name}: {text}", markup=False)
    console.print(_pretty(value), markup=False)


@dlq.command()
@in_directory
@as_json
@selection
def replay(
    *, ids: tuple[str, ...], directory: Path, as_json: bool, reason: str | None, topic: str | None, everything: bool
) -> None:
    """Send the messages of letters to their topics again, with the ids that they had.

    Each is applied once, also when it is replayed twice or was applied before. What fails again comes back as a new
    letter.
    """
    from persistence.kafka.dead_letter_box import OriginalGone

    async def work() -> tuple[list[Letter], list[str]]:
        box = _box(directory)
        done, gone = [], []
        for letter in _chosen(await box.letters(), ids, reason, topic, everything=everything, resolved=True):
            try:
                await box.replay(letter)
                done.append(letter)
            except OriginalGone as lost:
                gone.append(str(lost))
        return done, gone

    done, gone = asyncio.run(work())
    _report("replayed", done, as_json)
    if gone:
        raise click.ClickException("; ".join(gone))


@dlq.command()
@in_directory
@as_json
@selection
def drop(
    *, ids: tuple[str, ...], directory: Path, as_json: bool, reason: str | None, topic: str | None, everything: bool
) -> None:
    """Close letters without doing anything; they are not listed any more."""

    async def work() -> list[Letter]:
        box = _box(directory)
        letters = _chosen(await box.letters(), ids, reason, topic, everything=everything, resolved=False)
        await box.drop(letters)
        return letters

    _report("dropped", asyncio.run(work()), as_json)


def _box(directory: Path) -> DeadLetterBox:
    from cluster.development import operator_settings
    from cluster.wiring.values import kafka_connection
    from persistence.kafka.dead_letter_box import DeadLetterBox

    settings = operator_settings(os.environ, directory)
    return DeadLetterBox(kafka_connection(settings), settings.kafka.topic_dead_letters)


def _chosen(
    letters: list[Letter], ids: tuple[str, ...], reason: str | None, topic: str | None, *, everything: bool,
    resolved: bool,
) -> list[Letter]:  # fmt: skip
    """By id, resolved ones too if that is ``resolved``; else the open ones that match."""
    if ids:
        if reason or topic or everything:
            raise click.UsageError("Give ids, or --reason, --topic or --all.")
        known = {letter.id: letter for letter in letters if resolved or letter.outcome is None}
        missing = [letter_id for letter_id in ids if letter_id not in known]
        if missing:
            raise click.ClickException(f"no such dead letter: {', '.join(missing)} (`library dlq list`)")
        return [known[letter_id] for letter_id in dict.fromkeys(ids)]
    if not (reason or topic or everything):
        raise click.UsageError("Say which: ids, --reason, --topic or --all.")
    return [letter for letter in letters if letter.outcome is None and _matches(letter, reason, topic)]


def _matches(letter: Letter, reason: str | None, topic: str | None) -> bool:
    return reason in (None, letter.reason) and topic in (None, letter.origin.topic)


def _plain(letter: Letter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "since": _time(letter.put_ms),
        "reason": letter.reason,
        "detail": letter.detail,
        "event_id": letter.event_id,
        "topic": letter.origin.topic,
        "partition": letter.origin.partition,
        "offset": letter.origin.offset,
        "sent": _time(letter.origin.timestamp_ms),
        "key": None if letter.key is None else letter.key.decode("utf-8", "replace"),
        "size_bytes": letter.size_bytes,
        "truncated": letter.is_truncated,
        "replays": letter.replays,
        "outcome": letter.outcome,
    }


def _report(what: str, letters: list[Letter], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({what: [letter.id for letter in letters]}))
    else:
        console.print(f"{what}: {', '.join(letter.id for letter in letters[:20])}" if letters else f"nothing {what}")


def _state(letter: Letter) -> str:
    replays = f"replayed {letter.replays}x before" if letter.replays else ""
    return letter.outcome or replays


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _pretty(value: str) -> str:
    try:
        return json.dumps(json.loads(value), ensure_ascii=False, indent=2)
    except ValueError:
        return value
