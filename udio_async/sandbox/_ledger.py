"""The ledger: the answer to every submit, and its price."""

import time

import attrs

from ._tasks import JsonObject


@attrs.frozen(kw_only=True)
class Submit:
    """One submit that came in, taken or not."""

    provider: str
    """"udioapi-v1", "udioapi-v2" or "apiframe"."""
    answered: int
    """The HTTP status of the answer."""
    credits: float = 0.0
    """What was charged for it; 0 where nothing was taken."""
    task_id: str = ""
    """The id of the task that was made of it; "" where nothing was taken."""
    fault: str = ""
    """The fault that it got, such as "charged_502"; "" if it got none."""
    prompt: str = ""
    """What the song is about, in the words of the request; "" where it could not be read."""
    request: JsonObject = attrs.field(factory=dict)
    """The body as it was sent, without `token`; empty where it is not a JSON object."""
    key_ok: bool = True
    """Whether each key that was sent, in the header and in the body, was the right one."""
    at: float = attrs.field(factory=time.time)
    """Unix time."""


@attrs.define
class Ledger:
    """Remembers every submit.

    Only the server's thread writes it; it may be read from any.
    """

    _submits: list[Submit] = attrs.field(factory=list, init=False)

    def note(self, submit: Submit) -> None:
        """Remember a submit, before it is answered."""
        self._submits.append(submit)

    @property
    def submits(self) -> tuple[Submit, ...]:
        """All of them, oldest first."""
        return tuple(self._submits)

    @property
    def charges(self) -> tuple[Submit, ...]:
        """Those that were charged, oldest first."""
        return tuple(submit for submit in self._submits if submit.credits)
