"""Which hosts are on the public internet: pure, nothing is looked up."""

import ipaddress
import re
import socket
from urllib.parse import urlsplit

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


def is_private_host(host: str) -> bool:
    """Answer whether a host is not on the public internet, in whatever notation it is written.

    Names are judged by their form only: nothing is looked up.
    """
    name = host.rstrip(".").lower()
    address = _as_address(name)
    if address is not None:
        return not _is_public(address)
    if "." not in name or _is_numeric(name):
        return True
    return name.endswith(tuple(f".{suffix}" for suffix in _PRIVATE_SUFFIXES))


def is_private_url(url: str) -> bool:
    """Answer whether a URL points at a private host; a URL without a host counts as one."""
    return is_private_host(urlsplit(url).hostname or "")


def _as_address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Read an address in any notation that resolvers take: 2130706433, 0x7f.1, 0177.0.0.1."""
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
    """Answer whether the last label is a number: then it is an IPv4 address, or nothing."""
    return re.fullmatch(r"\d+|0x[0-9a-f]*", name.rpartition(".")[2]) is not None


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or _nat64(address)
        if inner is not None:
            return _is_public(inner)
    return address.is_global and not address.is_multicast and not address.is_reserved


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def _nat64(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None
