"""HTTP/1.1: requests as they are written, and answers as they are read, by llhttp (httptools).

It takes a tenth of the time of h11, and is the parser of Node: what it cannot read, few can. It is
told to forgive what other clients forgive, because an answer may be the one to a paid request.
Nobody can use that to smuggle in a second answer: what comes behind an answer is never read as one.
"""

import re

import httptools
import httpx

MAX_HEAD = 100 * 1024
"""Bytes that the head of an answer may have, as many as in httpx. So many may also come between two
pieces of its body, or behind the last one."""
_REQUEST_LINE = re.compile(rb"[A-Z]+ [!-~]+")
_HEADER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+: [^\0\r\n]*")
_LENGTH = re.compile(rb"(?im)^content-length:[ \t]*(\d+)(?:[ \t]*,[ \t]*\1)*[ \t]*\r?\n")
_BLANK_LINE = re.compile(rb"\n\r?\n")
_SWITCHES = 101
"""The only status below 200 that no other answer follows."""


def written(request: httpx.Request, body: bytes) -> bytes:
    """Return the bytes of a request: head and body are sent together.

    Raises:
        httpx.LocalProtocolError: they would be another request than it says, or more than one.
    """
    line = b"%s %s" % (request.method.encode(), request.url.raw_path)
    headers = [b"%s: %s" % header for header in request.headers.raw]
    if not _REQUEST_LINE.fullmatch(line) or not all(map(_HEADER.fullmatch, headers)):
        raise httpx.LocalProtocolError("its address or a header has a character of no HTTP")
    if body and b"Content-Length: %d" % len(body) not in headers:
        raise httpx.LocalProtocolError("its body is not as long as its head says")
    return b"\r\n".join([line + b" HTTP/1.1", *headers, b"", body])


class Answers:
    """The answers on one connection. Each is read to its end before the next one.

    Methods whose name begins with `on_` are called by the parser.
    """

    def __init__(self) -> None:
        self._parser = self._new_parser()
        self.begin()

    def _new_parser(self) -> httptools.HttpResponseParser:
        parser = httptools.HttpResponseParser(self)
        parser.set_dangerous_leniencies(
            lenient_headers=True,  # control characters, folded lines
            lenient_version=True,
            lenient_chunked_length=True,  # a length beside chunks, which then does not count
            lenient_keep_alive=True,  # bytes behind an interim answer that says "close"
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )
        return parser

    def begin(self) -> None:
        """Get ready for the next answer."""
        self.status: int | None = None
        """None until the whole head is there."""
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_whole = False
        self.may_go_on = False
        """Whether the connection may take another request; known once the answer is whole."""
        self.has_more = False
        """Whether there are bytes behind the answer, which belong to no answer."""
        self._pieces: list[bytes] = []
        self._received = 0
        self._silent = 0
        """Bytes in a row that were neither a whole head nor some of a body."""
        self._flaw: Exception | None = None
        self._head = b""
        """What has come until the head is whole."""
        self._unread: Exception | None = None
        """Why it cannot be read as it is. It is read again when all of it is there."""

    def close(self) -> None:
        """Let go of the parser: they would keep each other alive until the next gc."""
        self._parser = httptools.HttpResponseParser(object())

    def feed(self, data: bytes) -> None:
        """Read on; no bytes mean that the server has hung up.

        Raises:
            httpx.RemoteProtocolError: this is no answer, or it ends before its body begins.
        """
        if not data:
            self._end()
        else:
            self._silent += len(data)
            self._parse(data)
            if self._silent > MAX_HEAD and not self.is_whole:
                self._flaw = self._flaw or ValueError(f"a head of more than {MAX_HEAD} bytes")
        if self.status is None:
            self._check()

    def take(self) -> bytes:
        """Return the bytes of the body that have come; none if none are left.

        Raises:
            httpx.RemoteProtocolError: the body breaks off here, or is damaged.
        """
        if not self._pieces:
            self._check()
            return b""
        body, self._pieces = b"".join(self._pieces), []
        return body

    def _parse(self, data: bytes) -> None:
        if self.status is None:
            self._head += data
        if self.status is None and self._unread is not None:
            self._read_again()
        else:
            self._pass_on(data)

    def _pass_on(self, data: bytes) -> None:
        """Have the parser read on."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.may_go_on = False
        except httptools.HttpParserCallbackError as error:  # say, Ctrl-C
            raise error.__context__ or error from None
        except httptools.HttpParserError as error:
            self.may_go_on = False
            if self.status is None and self._unread is None and "Content-Length" in str(error):
                self._unread = error
                self._read_again()
            elif not self.is_whole:
                self._flaw = error

    def _read_again(self) -> None:
        """Read a head again that gives its length several times, once all of it is there."""
        if (end := _BLANK_LINE.search(self._head)) is not None:
            head, rest = self._head[: end.start() + 1], self._head[end.start() + 1 :]
            self._parser, self.headers, self._head = self._new_parser(), [], b""
            self._pass_on(_with_one_length(head) + rest)

    def _end(self) -> None:
        """Take in that no more bytes come."""
        fields = {name.lower(): value for name, value in self.headers}
        coding = fields.get(b"transfer-encoding", b"").lower()
        length = None if coding else fields.get(b"content-length")
        if self.status is None:  # the words of httpx
            self._flaw = EOFError("Server disconnected without sending a response.")
        elif coding.endswith(b"chunked"):
            self._flaw = EOFError("the connection ended before the last chunk")
        elif length is not None:
            got = f"{self._received} of {length.decode()} bytes"
            self._flaw = EOFError(f"the connection ended after {got}")
        else:  # nothing else shows where it ends
            self.is_whole = True

    def _check(self) -> None:
        if self._flaw is not None:
            raise httpx.RemoteProtocolError(str(self._flaw)) from self._flaw

    # As the parser calls it

    def on_message_begin(self) -> None:
        self.has_more = self.is_whole

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.status is None:  # else it is behind the body
            # The parser goes by names and values without the blanks around them. So do we.
            value = value.replace(b"\0", b" ").strip(b" \t\r\n")
            self.headers.append((name.rstrip(b" \t"), value))

    def on_headers_complete(self) -> None:
        if self.status is not None:
            return
        status = self._parser.get_status_code()
        if status >= 200 or status == _SWITCHES:
            self.status, self._silent, self._head = status, 0, b""
        else:  # an interim answer: the real one follows
            self.headers.clear()

    def on_body(self, data: bytes) -> None:
        if self.status is not None and not self.is_whole:
            self._pieces.append(data)
            self._received += len(data)
            self._silent = 0

    def on_message_complete(self) -> None:
        if self.status is not None and not self.is_whole:
            self.is_whole = True
            self.may_go_on = self._parser.should_keep_alive()


def _with_one_length(head: bytes) -> bytes:
    """Return a head that gives its length once, where it gave the same one several times.

    Some proxies repeat it, in a line of its own or after a comma. All clients but those with this
    parser read that. Lengths that differ are left: nobody knows which of them is true.
    """
    lengths = list(_LENGTH.finditer(head))
    if len({found[1] for found in lengths}) != 1:
        return head
    lines = _LENGTH.sub(b"", head)
    return lines + b"Content-Length: %s\r\n" % lengths[0][1]
