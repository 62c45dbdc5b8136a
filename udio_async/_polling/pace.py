"""How fast a sandbox makes songs, as each of its answers says.

With as few looks as a real service gets, one would wait half a minute for a song that was there
after a tenth of a second. Only a service on this machine is believed: no real one runs there.
"""

from collections.abc import Callable, Mapping

import attrs

from .._http import Call, Http, Reply

SPEED_HEADER = "udio-sandbox-speed"
"""Its value is a factor, such as "600"."""
_SLOWEST, _FASTEST = 1e-3, 1e5
"""A value outside of these is a mistake: looks would come without a pause, or never."""


@attrs.frozen
class Listening:
    """Sends through another `Http`, and passes on the speed that answers state."""

    _http: Http
    _hear: Callable[[float], None]

    async def send(self, call: Call) -> Reply:
        """Send one request and return the answer."""
        reply = await self._http.send(call)
        speed = stated_speed(reply.headers)
        if speed is not None:
            self._hear(speed)
        return reply


def stated_speed(headers: Mapping[str, str]) -> float | None:
    """Return how many times as fast as a real service the sender is.

    None if the headers do not say it, or say something absurd.
    """
    try:
        speed = float(headers.get(SPEED_HEADER, ""))
    except ValueError:
        return None
    return speed if _SLOWEST <= speed <= _FASTEST else None
