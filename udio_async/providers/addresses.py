"""Which addresses a provider can call back: checked here, before a song is paid for.

udioapi ("generate with callback" page): publicly accessible, no localhost, internal address or
private network. The rules are the same for apiframe's webhooks: what its servers cannot reach
would be lost there as well.
"""

from urllib.parse import urlsplit

from .._errors import InvalidRequest
from .._hosts import is_private_host


def check_callback_url(url: str, *, allow_private: bool = False) -> None:
    """Refuse an address that the provider could not, or should not, call.

    `allow_private` also lets plain http and private hosts through: for a provider that itself
    runs on this machine, such as the sandbox.

    Raises:
        InvalidRequest: no https, no host, credentials in it, or a host that is not public.
    """
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidRequest(f"callback address {url!r} is no URL: {error}") from error
    if any(char.isspace() or not char.isprintable() for char in url) or "\\" in url:
        raise InvalidRequest(f"callback address {url!r} contains a character that no URL has")
    if not host:
        raise InvalidRequest(f"callback address {url!r} names no host")
    if parts.username is not None or parts.password is not None:
        raise InvalidRequest(
            f"the callback address on {host} carries credentials; put a secret into its path"
        )
    if parts.scheme != "https" and not (allow_private and parts.scheme == "http"):
        raise InvalidRequest(f"callback address {url!r} is not https")
    if not allow_private and is_private_host(host):
        raise InvalidRequest(
            f"callback address {url!r} is on a private host; the provider calls it from outside"
        )
