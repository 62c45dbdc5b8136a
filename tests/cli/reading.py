"""Files as people save them, read without a shell."""

import io

import pytest

from udio_async import SongRequest, UdioApiV2
from udio_async.cli._failures import BadInput
from udio_async.cli._input import Reading, read_entries
from udio_async.cli._rows import Format

V2 = UdioApiV2(api_key="key")


def read(
    content: bytes | str,
    name: str = "in.csv",
    *,
    kind: Format | None = None,
    encoding: str | None = None,
) -> Reading:
    """Read a file of this content."""
    data = content.encode() if isinstance(content, str) else content
    return read_entries(io.BytesIO(data), name, V2, kind, encoding)


def asked(
    content: bytes | str,
    name: str = "in.csv",
    *,
    kind: Format | None = None,
    encoding: str | None = None,
) -> list[SongRequest]:
    """The requests in it."""
    return [entry.request for entry in read(content, name, kind=kind, encoding=encoding).entries]


def refused(
    content: bytes | str,
    name: str = "in.csv",
    *,
    kind: Format | None = None,
    encoding: str | None = None,
) -> BadInput:
    """Why it cannot be used."""
    with pytest.raises(BadInput) as caught:
        read(content, name, kind=kind, encoding=encoding)
    return caught.value


def problems(content: bytes | str, name: str = "in.csv") -> tuple[str, ...]:
    """Its bad lines."""
    return refused(content, name).problems
