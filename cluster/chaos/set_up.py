"""Makes what a trial needs: the service behind the proxies, the crowd and what it calls, the evidence.

The only place of this package where things are put together.
"""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random
from urllib.parse import urlsplit, urlunsplit

from cluster.chaos import links
from cluster.chaos.caller import Caller
from cluster.chaos.calls import Calls
from cluster.chaos.crowd import Crowd
from cluster.chaos.disk import SmallDisk
from cluster.chaos.evidence import Evidence
from cluster.chaos.pace import Pace
from cluster.chaos.platform import open_platform
from cluster.chaos.proxies import KAFKA, POSTGRES, Proxies, link
from cluster.chaos.running import RunningLibrary
from cluster.chaos.shop import PaperKind, open_shop
from cluster.chaos.stage import Stage
from cluster.chaos.user import Around
from cluster.demo import make_token
from cluster.dev import seeds
from cluster.replay.service import http_session
from cluster.settings import Settings
from cluster.wiring import values
from persistence.kafka.connection import KafkaConnection
from persistence.postgres.migrate import migrate


@dataclass(frozen=True, kw_only=True)
class Options:
    """``rate``: of the service's clock. ``no_disk`` says why there is no ``disk``."""

    directory: Path
    seed: int
    sessions: int
    outage_s: float
    rate: float
    beat_every_s: int
    disk: SmallDisk | None = None
    no_disk: str = "not asked for"


async def set_up(
    options: Options, library: RunningLibrary, hosts: int, random: Random, leaving: AsyncExitStack
) -> Stage:
    """Servers first, then the proxies, then the service that knows only these."""
    stack = library.stack
    proxies = await Proxies.start(hosts)
    leaving.push_async_callback(proxies.close)
    await asyncio.to_thread(stack.kafka.behind_proxy, proxies.ports[KAFKA])
    await asyncio.to_thread(stack.up, ["postgres", "kafka"])
    dsn = stack.postgres.dsn()
    proxies.lead_to(
        dsn=dsn,
        postgres=("127.0.0.1", urlsplit(dsn).port or 0),
        kafka=("127.0.0.1", stack.kafka.proxied_port),
    )
    await migrate(dsn)
    await links.install(dsn, {number: proxies.ports[link(number)] for number in range(hosts)})
    await asyncio.to_thread(
        lambda: library.start(
            POSTGRES_DSN=_through(dsn, proxies.ports[POSTGRES]), KAFKA_BROKERS=f"127.0.0.1:{proxies.ports[KAFKA]}"
        )
    )
    return Stage(
        library=library,
        proxies=proxies,
        disk=options.disk,
        no_disk=options.no_disk,
        random=Random(random.random()),
        outage_s=options.outage_s,
    )


def _through(dsn: str, port: int) -> str:
    """The DSN with another port."""
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(netloc=f"{parts.username}:{parts.password}@{parts.hostname}:{port}"))


async def open_crowd(
    options: Options, library: RunningLibrary, calls: Calls, random: Random, leaving: AsyncExitStack
) -> Crowd:
    """Nobody has arrived yet."""
    settings = library.settings()
    http = await leaving.enter_async_context(http_session(connections=0))
    kafka = _direct_kafka(library, settings)
    shop = await leaving.enter_async_context(
        open_shop(kafka, _topics_of_papers(settings), calls, Random(random.random()))
    )
    platform = await leaving.enter_async_context(
        open_platform(library.grpc_port, library.stack.certificates, calls, Random(random.random()))
    )
    around = Around(
        caller=Caller(http=http, base_url=library.url, calls=calls, random=Random(random.random())),
        shop=shop,
        platform=platform,
        calls=calls,
        pace=Pace(rate=options.rate, timeout_s=settings.playtime_tracking.session_timeout_inactive_seconds),
        stop=asyncio.Event(),
    )
    return Crowd(
        sessions=options.sessions,
        around=around,
        random=random,
        token=partial(make_token, settings),
        free_products=[seeds.product_id(title) for title in seeds.FREE],
    )


def _topics_of_papers(settings: Settings) -> Mapping[PaperKind, str]:
    kafka = settings.kafka
    return {
        "purchase": kafka.topic_purchases,
        "gift": kafka.topic_gifts,
        "key": kafka.topic_keys,
        "refund": kafka.topic_refunds,
    }


def _direct_kafka(library: RunningLibrary, settings: Settings) -> KafkaConnection:
    return replace(values.kafka_connection(settings), brokers=library.stack.kafka.address())


def evidence_of(library: RunningLibrary) -> Evidence:
    """Of a service that runs."""
    settings = library.settings()
    return Evidence(
        library.stack.postgres.dsn(),
        _direct_kafka(library, settings),
        events=settings.kafka.topic_library_events,
        dead_letters=settings.kafka.topic_dead_letters,
        group=settings.kafka.consumer_group,
        consumed=[topic.name for topic in values.consumed_topics(settings)],
    )
