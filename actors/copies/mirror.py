"""Which beats of a live session are mirrored: about one in five.

The specification's ``playtime_session`` hash has a ``last_heartbeat_at``; writing it at every beat would cost about as
much as the beat itself. So it is some minutes old at most, which its readers (dashboards, support) can bear, and the
time that the hash is kept is many times as long.
"""

from actors.domain.events import HeartbeatAccepted
from actors.domain.ids import SECOND

MIRROR_EVERY_INTERVALS = 5


def is_mirrored(beat: HeartbeatAccepted) -> bool:
    """Told by the beat alone, so that nothing needs to be remembered: time is cut into spans of five intervals, for
    each session at another place, and a beat in the first interval of one is mirrored. A client that beats as it was
    told hits each span once."""
    interval = beat.interval_s * SECOND
    span = MIRROR_EVERY_INTERVALS * interval
    return (beat.at + beat.session_id[0] * span // 256) % span < interval
