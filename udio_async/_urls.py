"""Rules about web addresses: which are links, which hosts are public.

Nothing is looked up: an address is judged by how it is written.
"""

import ipaddress
import re
import socket
from collections import deque
from collections.abc import Mapping
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from ._errors import InvalidRequest

_PRIVATE_SUFFIXES = (
    "localhost",
    "local",
    "internal",
    "intranet",
    "lan",
    "home",
    "corp",
    "private",
    "home.arpa",
    "test",
    "invalid",
    "example",
)


_NOTHING = re.compile(
    r"""|[\s(<\["']*(?:(?:none|null|undefined)+(?:[ _-]\d+)?|nan|nil|false)[\s)>\]"']*"""
    r"|\[object \w+\]|\$?\{+[a-z_. ]*\d?\}+|<\w+>|%[sd]",
    re.IGNORECASE,
)
"""What stands in a link in place of a name that does not exist, or in place of a field."""
_ID_IN_QUERY = re.compile(
    r"(?:^|[&;])(?:(?:item|song|audio|track|clip|file|work|task)[_-]?)?(?:id|file|key)=([^&;]*)",
    re.IGNORECASE,
)


_PLAIN = re.compile(
    r"https?://([a-z0-9][a-z0-9.-]*)(?::[1-5]?\d{1,4})?(/[\w.~%+=:@,/-]*)?(?:\?([\w.~%+=:@,&/-]*))?",
    re.ASCII,
)
"""Nearly every link: nothing in it is read in a special way. Host, path and query are apart."""
_WITHOUT_SCHEME = re.compile(r"[\w-]+(\.[\w-]+)+(:\d+)?/")
_FILE_PATH = re.compile(r"[\w%~./+-]+\.[a-z][a-z0-9]{2,3}(\?.*)?", re.ASCII | re.IGNORECASE)
"""A path without its slash, which has to end like a file: "pending" is none."""


def split_url(url: str) -> SplitResult | None:
    """Return the parts of a URL, or None if it cannot be split."""
    try:
        parts = urlsplit(url)
        _ = parts.hostname, parts.port  # which raise, too
    except ValueError:
        return None
    return parts


def as_link(text: str, base: str = "") -> str | None:
    """Read a link as providers write it, or return None.

    Blanks, a missing scheme and a path below the provider's own address (`base`) are understood. A
    link like "https://cdn.example/None.mp3", which stands for a missing file, is none.
    """
    if plain := _PLAIN.fullmatch(text):
        return None if _names_nothing(*plain.groups(default="")) else text
    link = text.strip().replace(" ", "%20")
    if not link.isprintable():  # no blank is, but for the one above
        return None
    path = ""
    if link.startswith("//"):
        link = f"https:{link}"
    elif _WITHOUT_SCHEME.match(link):
        link = f"https://{link}"
    elif base and (link.startswith("/") or _FILE_PATH.fullmatch(link)):
        path = link.partition("?")[0]  # the folders of `base` say nothing about a file
        link = urljoin(f"{base}/", link)
    parts = split_url(link)
    if parts is None or parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        return None
    return None if _names_nothing(parts.hostname, path or parts.path, parts.query) else link


def _names_nothing(host: str, path: str, query: str) -> bool:
    """Return whether a link was made of a value that is missing: it leads to no song.

    Folders, and ids in the query, count only where the file has a common name ("audio"), which has
    no digit, and only where all of them stand for nothing: one that is real may be the song's.
    """
    *folders, file = unquote(path).split("/")
    name = file.partition(".")[0]
    # Of a live stream, "https://host/?item_id=...", the end of the query is the name.
    if any(map(_NOTHING.fullmatch, (name or query.rpartition("=")[2], host))):
        return True
    if any(map(str.isdigit, name)):
        return False
    # "audio.mp3?key=" is a file with a field that was left empty, "audio?id=" names none.
    ids = [unquote(one) for one in _ID_IN_QUERY.findall(query) if one or "." not in file]
    named = [*filter(None, folders), *ids]
    return bool(named) and all(map(_NOTHING.fullmatch, named))


_SOUND_FILE = re.compile(r"\.(?:mp3|m4a|wav|flac|ogg|opus|aac)", re.ASCII | re.IGNORECASE)
_WEB = re.compile("https?://", re.IGNORECASE)
_MOST_FOUND = 4
_ECHO = "request_body"
"""Where a provider repeats the request, whose links are none of its songs."""


def sound_links_in(answer: object) -> list[str]:
    """Return the links to sound files anywhere in an answer, at most four of them."""
    found: list[str] = []
    left = deque([answer])
    while left and len(found) < _MOST_FOUND:
        value = left.popleft()
        if isinstance(value, Mapping):
            left += [value[name] for name in value if name != _ECHO]
        elif isinstance(value, list):
            left += value
        elif isinstance(value, str) and _WEB.match(value):
            parts = split_url(value)
            name = parts.path.rpartition("/")[2] if parts else ""
            if _SOUND_FILE.search(name) and as_link(value) and value not in found:
                found.append(value)
    return found


def is_stream(link: str, hosts: tuple[str, ...] = ()) -> bool:
    """Return whether a link is a live stream, which ends with the song.

    `hosts` are those that serve nothing else.
    """
    parts = split_url(link)
    return parts is not None and (parts.hostname in hosts or "/stream/" in parts.path)


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, by name or address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_local_url(url: str) -> bool:
    """Return whether a URL leads to this machine."""
    parts = split_url(url)
    return parts is not None and is_loopback(parts.hostname or "")


def is_private_host(host: str) -> bool:
    """Return whether a host is not on the public internet.

    It is judged in whatever notation it is written. Names are judged by their form only: a name
    without a dot, or with an ending such as ".local", is private.
    """
    name = host.rstrip(".").lower()
    address = _as_address(name)
    if address is not None:
        return not _is_public(address)
    if "." not in name or _is_numeric(name):
        return True
    return name.endswith(tuple(f".{suffix}" for suffix in _PRIVATE_SUFFIXES))


def is_private_url(url: str) -> bool:
    """Return whether a URL leads to a private host.

    What has no host counts as private.
    """
    parts = split_url(url)
    return parts is None or is_private_host(parts.hostname or "")


def without_query(url: str) -> str:
    """Return a URL without its query, which may be a signature."""
    return url.partition("?")[0]


def check_callback_url(url: str, *, allow_private: bool = False) -> None:
    """Refuse an address that a provider could not, or should not, call.

    udioapi ("generate with callback" page) asks for a publicly accessible one: no localhost, no
    internal address, no private network. What apiframe's servers cannot reach would be lost there
    as well.

    Args:
        url: the address.
        allow_private: also let plain http and private hosts through: for a provider that itself
            runs on this machine, such as the sandbox.

    Raises:
        InvalidRequest: no https, no host, credentials in it, or a host that is not public. The
            message does not show credentials.
    """
    parts = split_url(url)
    if parts is not None and (parts.username is not None or parts.password is not None):
        raise InvalidRequest(
            f"the callback address on {parts.hostname} carries credentials; put a secret into its "
            "path"
        )
    flaw = _flaw_in(url, parts, allow_private=allow_private)
    if flaw:
        raise InvalidRequest(f"callback address {url!r} {flaw}")


def _flaw_in(url: str, parts: SplitResult | None, *, allow_private: bool) -> str | None:
    """Return why a provider could not, or should not, call an address."""
    if parts is None:
        return "is no URL"
    if any(char.isspace() or not char.isprintable() for char in url) or "\\" in url:
        return "contains a character that no URL has"
    if not parts.hostname or parts.port == 0:
        return "names no host" if not parts.hostname else "has port 0, which no server has"
    if parts.scheme != "https" and not (allow_private and parts.scheme == "http"):
        return "is not https"
    if not allow_private and is_private_host(parts.hostname):
        return "is on a private host; the provider calls it from outside"
    return None


def _as_address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Read an IP address in any notation that resolvers take.

    That is 2130706433, 0x7f.1 and 0177.0.0.1, too. None if it is a name.
    """
    try:
        return ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        pass
    if not name.isascii() or not _is_numeric(name):
        return None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(name))
    except (OSError, ValueError):
        return None


def _is_numeric(name: str) -> bool:
    """Return whether the last label is a number.

    Then the host is an IPv4 address, or nothing.
    """
    return re.fullmatch(r"\d+|0x[0-9a-f]*", name.rpartition(".")[2]) is not None


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Return whether an address is public, also one inside an IPv6 address."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or _nat64(address)
        if inner is not None:
            return _is_public(inner)
    return address.is_global and not address.is_multicast and not address.is_reserved


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def _nat64(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that a NAT64 address stands for, or None."""
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None
