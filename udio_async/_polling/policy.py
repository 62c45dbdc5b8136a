"""How eagerly to look, as the owner of a client says it."""

from typing import Any

import attrs

from .._errors import InvalidRequest
from .._validators import check_above_zero, shown


def _positive(_policy: object, field: "attrs.Attribute[Any]", value: object) -> None:
    if value is None and field.default is None:
        return
    check_above_zero(f"PollPolicy {field.name}", value, remedy="give seconds above 0")


def _count(_policy: object, field: "attrs.Attribute[Any]", value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidRequest(
            f"PollPolicy {field.name} is {shown(value)}; give a number of songs, or 0"
        )


@attrs.frozen(kw_only=True)
class PollPolicy:
    """How eagerly to look. All durations are seconds.

    By default the first look comes early, in case the provider has refused the song's words at
    once. The next ones come when the song may be complete: the likelier that is, the closer
    together they are. Where `job.updates()` is used, there are also looks for its text and its
    first audio. How long all this takes is learned from the songs of this run, and from those in
    the journal. If one request may ask about many songs, each look costs little, so there are more.

        Client(provider, poll=PollPolicy(look_cost=2.0, deadline=600.0))  # fewer looks, 10 minutes
        Client(provider, poll=PollPolicy(interval=5))  # every 5 seconds, whatever was learned

    Raises:
        InvalidRequest: a value that makes no sense, or `interval` together with `look_cost`.
    """

    look_cost: float | None = attrs.field(default=None, validator=_positive)
    """The price of a look in seconds of waiting: at 0.8 a look is worth hearing of the song 0.8
    seconds earlier. None takes a 75th of the provider's typical song time, so 0.8 for a minute;
    where somebody follows the song a 200th."""
    min_interval: float | None = attrs.field(default=None, validator=_positive)
    """Seconds between two looks at one song, at least, instead of the provider's advice. After a
    callback one more look may come, a second after the last one."""
    deadline: float = attrs.field(default=1800.0, validator=_positive)
    """After so long a song is given up with `WaitExpired`; it keeps running at the provider, and
    its id is in the error."""
    interval: float | None = attrs.field(default=None, validator=_positive)
    """Look every so many seconds, whatever was learned; `min_interval` still holds."""
    follow: int = attrs.field(default=0, validator=_count)
    """While so many songs or fewer are being made, look for each stage of all of them, as if each
    had its `job.updates()`. It is for programs that show the stages; `on_event` reports them."""

    def __attrs_post_init__(self) -> None:
        if self.interval is not None and self.look_cost is not None:
            raise InvalidRequest(
                f"PollPolicy has interval {self.interval!r} and look_cost {self.look_cost!r}; "
                "give one of them: with an interval nothing is weighed"
            )
