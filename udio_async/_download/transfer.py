"""One file from the network: the whole file, or the rest of it."""

import re
import time
from collections.abc import Mapping

import anyio
import attrs

from .._errors import ProviderUnavailable
from .._http import HttpSender, LinkRefused, Reply
from .._limits import parse_retry_after
from .answers import (
    CUT,
    EMPTY,
    FAULTY,
    REFUSED,
    TOO_LONG,
    UNREACHABLE,
    AttemptFailed,
    Rule,
    rule_of,
)
from .parts import Part
from .sound import MAX_FILE
from .waiting import Limits

_LENGTH = re.compile(r"\d{1,15}", re.ASCII)
_CONTENT_RANGE = re.compile(
    r"bytes[ =:]*(\d{1,15})-\d{1,15}/(?:(\d{1,15})|\*)", re.ASCII | re.IGNORECASE
)


class _NothingMore(Exception):
    """The server has no more parts after those that came."""


@attrs.define(eq=False)
class Transfer:
    """Takes answers into a part, one after the other.

    It goes on where the last answer broke off only if the server proves that the file is still the
    same (RFC 9110, `If-Range`). It refuses files that would fill the disk.
    """

    part: Part
    _limits: Limits
    _total: int | None = None
    """Bytes that the server says there are."""
    _received: int = 0
    _brought: int = 0
    """Bytes of the latest answer."""
    _furthest: int = 0
    """The most bytes that any attempt has brought."""
    _validator: str | None = None
    _in_slices: bool = False
    """The server answers with parts, though the whole file was asked for."""
    _since: float = 0.0
    _lately: int = 0

    async def fetch(
        self,
        http: HttpSender,
        url: str,
        *,
        timeout: float,  # noqa: ASYNC109  # of all redirects, which only the sender sees
        local: bool,
    ) -> None:
        """Fetch what is missing of the file, with one request.

        If the server answers with parts and does not say how many bytes there are, more requests
        follow, until a part is empty or refused.

        Args:
            http: what sends it.
            url: the link; no key goes with it.
            timeout: seconds for all redirects together.
            local: whether the link may lead to this machine.

        Raises:
            AttemptFailed: the file is not complete; the rule of the error says what may help.
            OSError: the disk does not take it.
        """
        if self.part.size != self._received:  # somebody has removed or changed the file
            self.start_over()
        ends = anyio.current_time() + timeout
        try:
            while await self._ask(http, url, timeout=ends - anyio.current_time(), local=local):
                pass
        except LinkRefused as error:
            raise AttemptFailed(f"did not come: {error}", REFUSED) from error
        except ProviderUnavailable as error:
            raise AttemptFailed(f"did not come: {error}", UNREACHABLE) from error
        except AttemptFailed as error:
            error.progress = self._can_go_on and self._received > self._furthest
            self._furthest = max(self._furthest, self._received)
            raise

    async def _ask(
        self,
        http: HttpSender,
        url: str,
        *,
        timeout: float,  # noqa: ASYNC109  # of all redirects, which only the sender sees
        local: bool,
    ) -> bool:
        """Make one request; return whether another part may follow."""
        try:
            reply = await http.download(
                url, receive=self, headers=self._resume(), timeout=timeout, local=local
            )
        except _NothingMore:
            self._total = self._received
            return False
        await self.part.flush()
        self._check_whole(reply)
        if self._is_endless and not self._brought:
            self._total = self._received
        return self._is_endless

    @property
    def _is_endless(self) -> bool:
        """Whether parts have come, and the server has not said how many bytes there are."""
        return self._in_slices and self._total is None and self._received > 0

    @property
    def _can_go_on(self) -> bool:
        """Whether the rest can be asked for.

        Either there is a validator, which proves that the file is the same, or it comes in parts.
        """
        return self._received > 0 and (self._in_slices or bool(self._proof))

    def _resume(self) -> dict[str, str]:
        """Return the headers that ask for the rest; no headers if all is to be asked for."""
        if not self._can_go_on:
            self.start_over()
            return {}
        return {"Range": f"bytes={self._received}-", **self._proof}

    @property
    def _proof(self) -> dict[str, str]:
        """The header with which the server proves that the file is the same; empty without an ETag.

        Also empty for one with other letters than ASCII, which no request can carry.
        """
        etag = self._validator
        return {"If-Range": etag} if etag is not None and etag.isascii() else {}

    @property
    def may_have_lied(self) -> bool:
        """Whether the file may be complete, though the transfer was cut.

        Some servers send all that they have, and then do not end the answer as they should.
        """
        return self._received > 0 and not self._in_slices

    @property
    def says_length(self) -> bool:
        """Whether the server says how many bytes there are."""
        return self._total is not None

    @property
    def is_all_there(self) -> bool:
        """Whether as many bytes came as the server says there are."""
        return self._received > 0 and self._received == self._total

    def start_over(self) -> None:
        """Forget all that came."""
        self._received, self._total, self._validator, self._in_slices = 0, None, None, False
        self.part.clear()

    # As a receiver

    async def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Take the head of an answer, before its body.

        Raises:
            AttemptFailed: it has no file, or not the part that was asked for.
        """
        self._brought = 0
        if not self._is_endless:  # the speed is measured over all parts together
            self._since, self._lately = anyio.current_time(), 0
        rule = rule_of(status)
        if rule is not None:
            raise self._unserved(status, rule, headers)
        if status == 206:
            self._begin_part(headers)
        else:
            self._begin_file(headers)

    def _unserved(self, status: int, rule: Rule, headers: Mapping[str, str]) -> AttemptFailed:
        """Return the error for an answer without the file.

        Raises:
            _NothingMore: the file ends where the parts that came end.
        """
        if status == 416 and self._is_endless:
            raise _NothingMore
        if status == 416:
            self.start_over()
        wait = parse_retry_after(headers.get("retry-after"), now=time.time())
        return AttemptFailed(
            f"redirects to nowhere (HTTP {status})", rule, status=status, wait=wait
        )

    def _begin_file(self, headers: Mapping[str, str]) -> None:
        """Begin with the whole file, and remember its length and its ETag."""
        self.start_over()
        length, etag = headers.get("content-length", ""), headers.get("etag", "")
        self._total = int(length) if _LENGTH.fullmatch(length) else None
        self._validator = etag if etag.startswith('"') else None  # a weak one proves nothing
        self._check_size(self._total or 0)

    def _begin_part(self, headers: Mapping[str, str]) -> None:
        """Take a part that begins the file, or that goes on where ours ends."""
        start, total = _range_of(headers)
        same = self._validator in (None, headers.get("etag"))
        fits = None in (total, self._total) or total == self._total
        if start == 0 or (start is None and not self._received):
            if self._is_endless and same:  # it sends this part whatever is asked for
                raise _NothingMore
            self._begin_slices(headers, total, known=start is not None)
        elif start == self._received and same and fits:
            self._total = self._total if total is None else total
        else:
            self.start_over()
            raise AttemptFailed("was answered with another part than the rest", FAULTY)

    def _begin_slices(self, headers: Mapping[str, str], total: int | None, *, known: bool) -> None:
        """Begin with the first of several parts, though the whole file was asked for."""
        self._begin_file(headers)
        self._in_slices = known
        if known and total is None:  # Content-Length is the length of this part
            self._total = None
        # Some servers count from 1, or give the last byte as the length: they are wrong by one.
        if total is not None and (self._total is None or total > self._total + 1):
            self._total = total
            self._check_size(total)

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes.

        Raises:
            AttemptFailed: the file is too long, or comes too slowly.
            OSError: the disk does not take them.
        """
        self._check_size(self._received + len(chunk))
        await self.part.write(chunk)
        self._received += len(chunk)
        self._brought += len(chunk)
        self._lately += len(chunk)
        passed = anyio.current_time() - self._since
        if passed >= self._limits.window:
            if self._lately < self._limits.min_speed * passed:
                too_slow = f"came too slowly: {self._lately} bytes in {passed:.0f} s"
                raise AttemptFailed(too_slow, UNREACHABLE)
            self._since, self._lately = anyio.current_time(), 0

    def _check_size(self, size: int) -> None:
        """Refuse more bytes than any song has."""
        if size > MAX_FILE:
            raise AttemptFailed(f"is longer than {MAX_FILE} bytes: no song is", TOO_LONG)

    def _check_whole(self, reply: Reply) -> None:
        """Refuse a transfer that has not brought all of the file."""
        if self._total is not None:
            self._check_length(self._total)
        elif reply.cut and self._received:
            raise AttemptFailed(f"ended early: {reply.cut}", CUT)
        elif reply.cut:
            raise AttemptFailed(f"was not served: {reply.cut}", UNREACHABLE)
        if not self._received:
            raise AttemptFailed("is empty", EMPTY)

    def _check_length(self, total: int) -> None:
        """Refuse more or fewer bytes than the server says there are."""
        received = self._received
        if received > total:
            self.start_over()
            raise AttemptFailed("is longer than the server says", FAULTY)
        if received < total and received:
            raise AttemptFailed(f"ended after {received} of {total} bytes", CUT)
        if received < total:
            raise AttemptFailed("was not served: it ended before its first byte", UNREACHABLE)


def _range_of(headers: Mapping[str, str]) -> tuple[int | None, int | None]:
    """Return where a part begins, and how long the whole file is; None where that is not said."""
    found = _CONTENT_RANGE.fullmatch(headers.get("content-range", "").strip())
    if found is None:
        return None, None
    return int(found[1]), int(found[2]) if found[2] else None
