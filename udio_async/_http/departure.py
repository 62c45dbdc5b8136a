"""Departures: a paid request can be taken back until its first byte leaves."""

from collections.abc import Iterator
from contextlib import contextmanager

import anyio

from .._errors import ClientClosed


class Departure:
    """The state of a paid request, shared by its caller and its sender.

    The caller takes the request back with `withdraw`. Then the wait that it is in (for a place, its
    turn, the journal, a connection, a proxy, TLS) ends, and nothing is sent. Once its first byte is
    about to leave, it goes on to its end.
    """

    def __init__(self) -> None:
        self.withdrawn = False
        self.refusal: ClientClosed | None = None
        """The error that was raised because it was taken back."""
        self._why = ""
        self._handed = False
        self._left = False
        self._scope: anyio.CancelScope | None = None

    @property
    def may_have_left(self) -> bool:
        """Whether a byte of the request may have been sent."""
        return self._left or self._handed

    @contextmanager
    def waits(self) -> Iterator[None]:
        """Mark a wait before the first byte, which may end at any moment.

        Raises:
            ClientClosed: the request was taken back.
        """
        self.check()
        # A scope of its own: it ends this wait only, and its task can still say what happened.
        with anyio.CancelScope() as scope:
            self._scope = scope
            try:
                yield
            finally:
                self._scope = None
        if not self.may_have_left:
            self.check()

    def check(self) -> None:
        """Raise if the request was taken back.

        Raises:
            ClientClosed: it was.
        """
        if self.withdrawn:
            self.refusal = ClientClosed(f"{self._why} before the request left; nothing was sent")
            raise self.refusal

    def hand_over(self) -> None:
        """Mark that foreign code has the request, and may send it without telling us.

        Raises:
            ClientClosed: it was taken back.
        """
        if not self._left:
            self.check()
            self._handed = True

    def stay(self) -> None:
        """Mark that our code has the request again, unsent.

        Raises:
            ClientClosed: it was taken back.
        """
        if not self._left:
            self._handed = False
            self.check()

    def answered(self) -> None:
        """Mark that it has left: an answer is there."""
        self._left = True

    def came_back(self) -> None:
        """Mark that the server has certainly not accepted the request.

        It may be sent again, or taken back.
        """
        self._handed = self._left = False

    def leave(self) -> None:
        """Mark that its first byte is about to leave.

        Raises:
            ClientClosed: it was taken back.
        """
        if not self._left:
            self.check()
            self._left = True

    def withdraw(self, why: str) -> None:
        """Take the request back, unless it may have left."""
        if not self.withdrawn:
            self.withdrawn, self._why = True, why
        if self._scope is not None and not self.may_have_left:
            self._scope.cancel()
