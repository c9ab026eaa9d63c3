"""One user of an offline replay: buys everything, then brings what was played, batch by batch, some of them twice."""

import msgspec

from cluster.replay.figures import Call, Figures
from cluster.replay.offline_plan import Batch, OfflineSession, batches_of
from cluster.replay.pause import Pause
from cluster.replay.payments import Payments
from cluster.replay.plan import UserPlan
from cluster.replay.service import Refused, Service
from cluster.replay.shelf import Shelf

PATH = "/playtime/sessions/offline"


class _Attributes(msgspec.Struct):
    credited_seconds: int | None = None


class _Result(msgspec.Struct):
    id: str
    attributes: _Attributes


class _Results(msgspec.Struct):
    data: list[_Result]


_results = msgspec.json.Decoder(_Results)
_encode = msgspec.json.Encoder().encode


class OfflinePlayer:
    """Raises ``GaveUp`` and ``Refused``; a result that is not what was sent is a ``Refused`` too."""

    def __init__(
        self, user: UserPlan, headers: dict[str, str], service: Service, *, figures: Figures, pause: Pause, seed: int
    ) -> None:
        self._user = user
        self._headers = {**headers, "Content-Type": "application/json"}
        self._service = service
        self._figures = figures
        self._pause = pause
        self._seed = seed

    async def buy(self, payments: Payments, shelf: Shelf) -> bool:
        """Whether everything has shown; not if the run was cut meanwhile."""
        for order in self._user.orders:
            event = await payments.pay(self._user.user_id, order)
            if order.sent_twice:
                await payments.repeat(self._user.user_id, event)
        return all([await shelf.wait_for(play.product_id) for play in self._user.plays])

    async def bring(self) -> bool:
        """Whether everything was sent."""
        for batch in batches_of(self._user, self._seed):
            for _ in range(2 if batch.sent_twice else 1):
                if self._pause.is_cut:
                    return False
                await self._send(batch)
            self._figures.sessions_ended += len(batch.sessions)
            self._figures.played_s += sum(session.seconds for session in batch.sessions)
        self._figures.plays_done += len(self._user.plays)
        return True

    async def _send(self, batch: Batch) -> None:
        body = _encode({"data": [_body(session) for session in batch.sessions]})
        answer = await self._service.call(Call.OFFLINE, "POST", self._service.url(PATH), self._headers, body)
        if answer.status != 200:
            raise Refused("offline sessions", answer)
        try:
            results = _results.decode(answer.body).data
        except msgspec.DecodeError as error:
            raise Refused(f"offline sessions, not as specified ({error})", answer) from error
        told = [(one.id, one.attributes.credited_seconds) for one in results]
        if told != [(one.client_id, one.seconds) for one in batch.sessions]:
            raise Refused("offline sessions, not credited as they were sent", answer)


def _body(session: OfflineSession) -> dict[str, object]:
    return {
        "type": "offlineSession",
        "id": session.client_id,
        "attributes": {
            "product_id": session.product_id,
            "start_time": session.begin.isoformat(),
            "end_time": session.end.isoformat(),
        },
    }
