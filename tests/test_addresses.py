"""Which callback addresses are public."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udio_async._errors import InvalidRequest
from udio_async._urls import check_callback_url, is_private_host, is_private_url

PUBLIC = [
    "https://your-domain.com/api/callback",
    "https://your-domain.com:8443/cb?token=abc",
    "https://8.8.8.8/cb",
    "https://[2606:4700:4700::1111]/cb",
    "https://münchen.de/cb",
    "https://your-domain.com./cb",
]

PRIVATE_HOSTS = [
    "localhost",
    "LOCALHOST",
    "localhost.",
    "app.localhost",
    "intranet",
    "printer.local",
    "db.internal",
    "metadata.google.internal",
    "router.lan",
    "10.0.0.1",
    "10.0.0.1.",
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "0300.0250.0.1",
    "3232235521",
    "169.254.169.254",
    "192.168.0.1",
    "172.16.0.1",
    "100.64.0.1",
    "0.0.0.0",
    "255.255.255.255",
    "224.0.0.1",
    "1.2.3.4.5",
    "999.999.999.999",
    "0x",
    "[::1]",
    "[::]",
    "[fe80::1]",
    "[fd00::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[2002:7f00:1::]",
    "[64:ff9b::7f00:1]",
    "[ff02::1]",
]


@pytest.mark.parametrize("url", PUBLIC)
def test_public_addresses_pass(url: str) -> None:
    """https on a name or address of the public internet is fine, with port and query."""
    check_callback_url(url)
    assert not is_private_url(url)


@pytest.mark.parametrize("host", PRIVATE_HOSTS)
def test_private_hosts_are_refused_in_any_notation(host: str) -> None:
    """Decimal, octal, hex, short, mapped, with a dot at the end: all are seen through."""
    with pytest.raises(InvalidRequest, match="private"):
        check_callback_url(f"https://{host}/cb")
    check_callback_url(f"http://{host}/cb", allow_private=True)


@pytest.mark.parametrize(
    "url",
    [
        "http://your-domain.com/cb",
        "ftp://your-domain.com/cb",
        "your-domain.com/cb",
        "//your-domain.com/cb",
        "https:///cb",
        "https://",
        "",
        "https://user@your-domain.com/cb",
        "https://user:secret@your-domain.com/cb",
        "https://your-domain.com:99999/cb",
        "https://your-domain.com:x/cb",
        "https://your-domain.com:0/cb",
        "https://[::1/cb",
        "https://your-domain.com\\@10.0.0.1/cb",
        "https://your-domain.com/c b",
        "https://your-domain.com/\ncb",
        " https://your-domain.com/cb",
    ],
)
def test_what_is_no_plain_https_url_is_refused(url: str) -> None:
    """Other schemes, credentials, broken ports and odd characters never leave."""
    with pytest.raises(InvalidRequest):
        check_callback_url(url)


def test_credentials_are_not_repeated() -> None:
    """The error about credentials does not show them."""
    with pytest.raises(InvalidRequest) as caught:
        check_callback_url("https://user:hunter2@your-domain.com/cb")
    assert "hunter2" not in str(caught.value)


def test_private_is_not_the_same_as_anything() -> None:
    """`allow_private` lets http and private hosts through, and nothing else."""
    with pytest.raises(InvalidRequest):
        check_callback_url("ftp://127.0.0.1/cb", allow_private=True)


@given(st.text(max_size=60))
def test_any_text_gives_a_verdict(text: str) -> None:
    """Whatever is given, the answer is yes or InvalidRequest."""
    for url in (text, f"https://{text}/cb"):
        try:
            check_callback_url(url)
        except InvalidRequest:
            continue


@given(st.ip_addresses(v=4, network="127.0.0.0/8"))
def test_loopback_is_private_however_it_is_written(address: object) -> None:
    """Every loopback address, as text, number and hex."""
    number = int(address)  # type: ignore[call-overload]  # an address counts as a number
    assert all(is_private_host(host) for host in (str(address), str(number), hex(number)))
