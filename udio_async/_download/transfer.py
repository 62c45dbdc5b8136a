"""One file over the network: from its start, or from where the last transfer broke off."""

import re
import time
from collections.abc import Mapping

import anyio
import attrs

from .._errors import DownloadFailed, NotAudio, ProviderUnavailable, Truncated
from .._http import HttpSender, LinkRefused, Reply
from .._limits import parse_retry_after
from .answers import Absent, Broken, Meaning, meaning_of
from .parts import Part
from .sound import MAX_FILE
from .waiting import Limits

_LENGTH = re.compile(r"\d{1,15}", re.ASCII)
_CONTENT_RANGE = re.compile(r"bytes[ =:]*(\d{1,15})-\d{1,15}/(?:(\d{1,15})|\*)", re.ASCII | re.I)


@attrs.define(eq=False)
class Transfer:
    """Takes one answer after the other into a part, and refuses what would fill the disk."""

    part: Part
    _limits: Limits
    encoding: str = ""
    """What the server says of the coding."""
    is_framed: bool = False
    """Whether the server says where the file ends, so that it is known to be whole."""
    _total: int | None = None
    _received: int = 0
    _validator: str | None = None
    _in_slices: bool = False
    """The server answers with parts, though all of it was asked for."""
    _since: float = 0.0
    _lately: int = 0

    async def fetch(
        self,
        http: HttpSender,
        url: str,
        *,
        timeout: float,  # noqa: ASYNC109  # of all redirects, which only the sender sees
        local: bool,
        headers: Mapping[str, str],
    ) -> None:
        """Fetch what is missing of the file.

        Raises:
            Broken: it is not all there now.
            Absent: it is not served.
            OSError: the disk does not take it.
        """
        had = self._received
        try:
            reply = await http.download(
                url,
                receive=self,
                headers={**headers, **self._resume()},
                timeout=timeout,
                local=local,
            )
            self._check_whole(reply)
        except LinkRefused as error:
            raise Broken(f"did not come: {error}", hopeless=True) from error
        except ProviderUnavailable as error:
            raise Broken(f"did not come: {error}") from error
        except Broken as error:
            error.progress = self._can_go_on and self._received > had
            raise

    @property
    def _can_go_on(self) -> bool:
        """Whether the rest can be asked for: something proves it the rest, or nothing else is served."""
        return self._received > 0 and (self._validator is not None or self._in_slices)

    def _resume(self) -> dict[str, str]:
        """Return the headers that ask for the rest; none where all of it is needed."""
        if not self._can_go_on:
            self._start_over()
            return {}
        proof = {} if self._validator is None else {"If-Range": self._validator}
        return {"Range": f"bytes={self._received}-", **proof}

    def _start_over(self) -> None:
        self._received, self._total, self._validator, self._in_slices = 0, None, None, False
        self.part.clear()

    # As a receiver

    async def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Look at the head of an answer."""
        self._since, self._lately = anyio.current_time(), 0
        self.encoding = headers.get("content-encoding", "")
        meaning = meaning_of(status)
        if meaning is Meaning.PART:
            self._begin_part(headers)
        elif meaning is Meaning.FILE:
            self._begin_file(headers)
        elif meaning is Meaning.BUSY:
            raise self._unserved(status, headers)
        else:
            raise Absent(status, meaning)

    def _unserved(self, status: int, headers: Mapping[str, str]) -> Broken:
        if status == 416:
            self._start_over()
        what = "redirects to nowhere" if 300 <= status < 400 else "was not served"
        wait = parse_retry_after(headers.get("retry-after"), now=time.time())
        return Broken(f"{what} (HTTP {status})", wait=wait)

    def _begin_file(self, headers: Mapping[str, str]) -> None:
        self._start_over()
        length, etag = headers.get("content-length", ""), headers.get("etag", "")
        self._total = int(length) if _LENGTH.fullmatch(length) else None
        self._validator = etag if etag.startswith('"') else None  # a weak one proves nothing
        self._check_size(self._total or 0)

    def _begin_part(self, headers: Mapping[str, str]) -> None:
        place = _CONTENT_RANGE.fullmatch(headers.get("content-range", "").strip())
        total = int(place[2]) if place and place[2] else None
        if place and int(place[1]) == 0 or not (place or self._received):
            self._begin_file(headers)
            self._in_slices = place is not None
            # Some count the last byte as the length, and say one more than there is.
            if total is not None and total != (self._total or 0) + 1:
                self._total = total
            return
        same = headers.get("etag", self._validator) == self._validator
        known = self._total is None or total is None or total == self._total
        if not place or int(place[1]) != self._received or not known or not same:
            self._start_over()
            raise Broken("was answered with another part than the rest")
        self._total = self._total if total is None else total

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self._check_size(self._received + len(chunk))
        self.part.write(chunk)
        self._received += len(chunk)
        self._lately += len(chunk)
        passed = anyio.current_time() - self._since
        if passed >= self._limits.window:
            if self._lately < self._limits.min_speed * passed:
                raise Broken(f"came too slowly: {self._lately} bytes in {passed:.0f} s")
            self._since, self._lately = anyio.current_time(), 0

    def _check_size(self, size: int) -> None:
        if size > MAX_FILE:
            raise Broken(f"is longer than {MAX_FILE} bytes: no song is", NotAudio, hopeless=True)

    def _check_whole(self, reply: Reply) -> None:
        """Refuse a transfer that is not all of the file."""
        coding = reply.headers.get("transfer-encoding", "")
        self.is_framed = "content-length" in reply.headers or "chunked" in coding.lower()
        if self._total is not None:
            self._check_length(self._total)
        elif reply.cut:
            what = "ended early" if self._received else "was not served"
            raise Broken(f"{what}: {reply.cut}", Truncated if self._received else DownloadFailed)
        if not self._received:
            raise Broken("is empty", NotAudio)

    def _check_length(self, total: int) -> None:
        received = self._received
        if received > total:
            self._start_over()
            raise Broken("is longer than the server says")
        if received < total:
            raise Broken(f"ended after {received} of {total} bytes", Truncated)
