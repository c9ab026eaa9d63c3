"""A game client: starts a session, beats as often as it is told to, ends it, and remembers what it was told.

When the service has ended the session meanwhile (409 ``SESSION_ENDED``), it starts another one for the rest of the
play. Play is measured on the client's own clock: from the acknowledged start to the latest acknowledged beat.
"""

import asyncio
from dataclasses import dataclass
from random import Random

import msgspec
from yarl import URL

from cluster.replay.figures import Call, Figures
from cluster.replay.pause import Pause
from cluster.replay.service import Answer, Refused, Service, error_code
from cluster.replay.told import ToldEnd, ToldSession

DEVICE = "replay"
FRUITLESS_SESSIONS = 10
"""Sessions in a row that end before a single beat was acknowledged, before a client takes it for a fault: of the
service, or a clock rate that is not the service's."""

EARLIEST_BEAT = 0.25
"""No beat follows an acknowledged one sooner than this part of the interval, however late it is (R-PT-8)."""


class _Attributes(msgspec.Struct):
    start_time: str
    end_time: str | None = None
    duration_seconds: int | None = None
    end_reason: str | None = None


class _Data(msgspec.Struct):
    id: str
    attributes: _Attributes


class _Session(msgspec.Struct):
    data: _Data


_session = msgspec.json.Decoder(_Session)


class FruitlessPlay(Exception):
    """Session after session ends before the client's first beat is acknowledged."""


@dataclass(slots=True)
class _Stretch:
    """A session while it is played. ``began`` and ``alive_at`` are loop times: of the acknowledged start and of the
    latest acknowledged sign of life; ``interval_s`` is in service time."""

    told: ToldSession
    beat_url: URL
    end_url: URL
    began: float
    alive_at: float
    interval_s: float


class Player:
    """One user's client, for all games; ``play`` may run several times at once."""

    def __init__(
        self,
        user_id: str,
        headers: dict[str, str],
        service: Service,
        *,
        rate: float,
        told: list[ToldSession],
        figures: Figures,
        pause: Pause,
        random: Random,
    ) -> None:
        self._user_id = user_id
        self._headers = headers
        self._start_headers = {**headers, "Content-Type": "application/json"}
        self._service = service
        self._rate = rate
        self._told = told
        self._figures = figures
        self._pause = pause
        self._random = random

    async def play(self, product_id: str, seconds: float) -> None:
        """``seconds`` of service time; less if the run is cut. Raises ``GaveUp``, ``Refused``, ``FruitlessPlay``."""
        rest = seconds
        fruitless = 0
        while rest >= 1 and not self._pause.is_cut:
            stretch = await self._start(product_id)
            played = await self._play_on(stretch, rest)
            self._figures.played_s += min(played, rest)
            rest -= played
            fruitless = fruitless + 1 if stretch.alive_at == stretch.began else 0
            if rest >= 1 and fruitless == FRUITLESS_SESSIONS:
                raise FruitlessPlay(f"{fruitless} sessions of product {product_id} ended before their first beat")

    async def _play_on(self, stretch: _Stretch, rest: float) -> float:
        """Seconds of service time that were played in this session."""
        self._figures.sessions_live += 1
        try:
            in_full = await self._beat_until(stretch, stretch.began + rest / self._rate) and await self._end(stretch)
        finally:
            self._figures.sessions_live -= 1
        if in_full and not self._pause.is_cut:
            return rest
        self._figures.ended_by_service += not in_full
        return (stretch.alive_at - stretch.began) * self._rate

    async def _start(self, product_id: str) -> _Stretch:
        body = (
            b'{"data":{"type":"playtimeSessionStart","attributes":{"product_id":"%b","device_id":"%b","platform":"pc"}}}'
            % (product_id.encode(), DEVICE.encode())
        )
        answer = await self._service.call(
            Call.START, "POST", self._service.url("/playtime/sessions/start"), self._start_headers, body
        )
        if answer.status not in (200, 201):
            raise Refused(f"start of {product_id} by {self._user_id}", answer)
        data = _decode("start", answer)
        told = ToldSession(
            user_id=self._user_id,
            product_id=product_id,
            session_id=data.id,
            start_time=data.attributes.start_time,
        )
        self._told.append(told)
        if answer.status == 201:
            self._figures.sessions_started += 1
        else:
            self._figures.sessions_resumed += 1
        now = asyncio.get_running_loop().time()
        path = f"/playtime/sessions/{data.id}"
        return _Stretch(
            told=told,
            beat_url=self._service.url(path + "/heartbeat"),
            end_url=self._service.url(path + "/end"),
            began=now,
            alive_at=now,
            interval_s=_interval_s("start", answer),
        )

    async def _beat_until(self, stretch: _Stretch, end_at: float) -> bool:
        """Beats until it is time to end the session; False if the service has ended it.

        The first beat comes early by a random part of the interval, so that clients which began together do not beat
        together. A slow answer delays the next beat, none is left out.
        """
        loop = asyncio.get_running_loop()
        due = stretch.began + stretch.interval_s / self._rate * self._random.uniform(0.4, 1.0)
        while due < end_at:
            await self._pause.until(due)
            if self._pause.is_cut:
                return True
            self._figures.latencies_s[Call.LATE].append(loop.time() - due)
            if not await self._beat(stretch):
                return False
            interval = stretch.interval_s / self._rate
            due = max(due + interval, stretch.alive_at + EARLIEST_BEAT * interval)
        await self._pause.until(end_at)
        return True

    async def _beat(self, stretch: _Stretch) -> bool:
        answer = await self._service.call(Call.BEAT, "POST", stretch.beat_url, self._headers)
        if answer.status == 409 and error_code(answer) == "SESSION_ENDED":
            return False
        accepted_at = answer.headers.get("Library-Accepted-At")
        if answer.status != 204 or accepted_at is None:
            raise Refused(f"heartbeat of {stretch.told.session_id}", answer)
        stretch.told.accepted_at = accepted_at
        stretch.interval_s = _interval_s("heartbeat", answer)
        stretch.alive_at = asyncio.get_running_loop().time()
        self._figures.beats += 1
        return True

    async def _end(self, stretch: _Stretch) -> bool:
        """Whether the session ended with this end; False if the service had ended it at an earlier sign of life."""
        answer = await self._service.call(Call.END, "POST", stretch.end_url, self._headers)
        if answer.status != 200:
            raise Refused(f"end of {stretch.told.session_id}", answer)
        attributes = _decode("end", answer).attributes
        if attributes.end_time is None or attributes.duration_seconds is None:
            raise Refused("end without end_time and duration_seconds", answer)
        stretch.told.end = ToldEnd(end_time=attributes.end_time, duration_seconds=attributes.duration_seconds)
        self._figures.sessions_ended += 1
        if attributes.end_reason not in (None, "client"):
            return False
        stretch.alive_at = asyncio.get_running_loop().time()
        self._figures.note_clock(service_s=attributes.duration_seconds, local_s=stretch.alive_at - stretch.began)
        return True


def _decode(what: str, answer: Answer) -> _Data:
    try:
        return _session.decode(answer.body).data
    except msgspec.DecodeError as error:
        raise Refused(f"{what}, not as specified ({error})", answer) from error


def _interval_s(what: str, answer: Answer) -> float:
    """Seconds of service time until the next beat is expected (R-PT-10)."""
    text = answer.headers.get("Library-Next-Heartbeat-Seconds")
    if text is None or not text.isdecimal() or int(text) < 1:
        raise Refused(f"{what} without Library-Next-Heartbeat-Seconds", answer)
    return float(text)
