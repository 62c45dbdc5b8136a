"""Links as providers write them."""

import pytest

from udio_async._http.messages import LinkRefused, link_request
from udio_async._urls import as_link

BASE = "https://api.songs.example.org/v1"


@pytest.mark.parametrize(
    ("written", "link"),
    [
        ("https://cdn.example.org/a.mp3", "https://cdn.example.org/a.mp3"),
        (" https://cdn.example.org/a.mp3\n", "https://cdn.example.org/a.mp3"),
        ("HTTPS://cdn.example.org/a.mp3", "HTTPS://cdn.example.org/a.mp3"),
        ("https://cdn.example.org/my song.mp3", "https://cdn.example.org/my%20song.mp3"),
        ("//cdn.example.org/a.mp3", "https://cdn.example.org/a.mp3"),
        ("cdn.example.org/a.mp3", "https://cdn.example.org/a.mp3"),
        ("cdn.example.org:8443/a.mp3", "https://cdn.example.org:8443/a.mp3"),
        ("/files/a.mp3", "https://api.songs.example.org/files/a.mp3"),
        ("files/a.mp3", "https://api.songs.example.org/v1/files/a.mp3"),
        ("./a.mp3?sig=b", "https://api.songs.example.org/v1/a.mp3?sig=b"),
        ("../a.wav", "https://api.songs.example.org/a.wav"),
    ],
)
def test_a_link_is_read_as_it_is_meant(written: str, link: str) -> None:
    """Blanks, a missing scheme, a path below the provider's address."""
    assert as_link(written, BASE) == link


WORDS = ["", " ", "pending", "N/A", "none", "null", "odd", "100%", "0.5", "None.mp3", "https://"]
ODD = [
    "ftp://a.example/b",
    "https://cdn.example.org/None.mp3",
    "data:audio/mp3;base64,AA",
    "a\nb.mp3",
]


@pytest.mark.parametrize("written", [*WORDS, *ODD])
def test_what_leads_to_no_file_is_no_link(written: str) -> None:
    """Words that stand where a link will be are not taken for one."""
    assert as_link(written, BASE) is None


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("http://cdn.example.org/a.mp3", "https://cdn.example.org/a.mp3"),
        ("http://cdn.example.org:80/a.mp3?b=c", "https://cdn.example.org/a.mp3?b=c"),
        ("https://cdn.example.org/a?x=1&amp;y=%2F", "https://cdn.example.org/a?x=1&y=%2F"),
        ("https://cdn.example.org/a&amp;b", "https://cdn.example.org/a&amp;b"),
    ],
)
def test_a_link_to_the_public_internet_is_asked_for_as_it_is_meant(
    written: str, asked: str
) -> None:
    """By https, and with the query that the page showed."""
    assert str(link_request(written, {}, local=False).url) == asked


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.0.0.1", "cdn.internal"])
def test_http_to_a_private_host_stays_refused(host: str) -> None:
    with pytest.raises(LinkRefused, match="public internet"):
        link_request(f"http://{host}/a.mp3", {}, local=False)
