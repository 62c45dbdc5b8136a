"""Links as providers write them."""

import pytest

from udio_async._http.messages import LinkRefused, link_request
from udio_async._urls import as_link, sound_links_in

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


PLACEHOLDERS = """
https://cdn.example.org/null
https://cdn.example.org/[object Object].mp3
https://cdn.example.org/%5Bobject%20Object%5D.mp3
https://cdn.example.org/<nil>.mp3
https://cdn.example.org/nil.mp3
https://cdn.example.org/(null).mp3
https://cdn.example.org/false.mp3
https://cdn.example.org/{id}.mp3
https://cdn.example.org/${audio_id}.mp3
https://cdn.example.org/{{song_id}}.mp3
https://cdn.example.org/{0}.mp3
https://cdn.example.org/None/audio.mp3?key=
https://cdn.example.org/None/audio.mp3?id=undefined
https://cdn.example.org/%s.mp3
https://cdn.example.org/%4Eone.mp3
https://cdn.example.org/None%20.mp3
https://cdn.example.org/None_0.mp3
https://cdn.example.org/None-1.mp3
https://cdn.example.org/nullnull.mp3
https://cdn.example.org/None/audio.mp3
https://cdn.example.org/undefined/audio.mp3
https://cdn.example.org/%7Bid%7D/audio.mp3
https://undefined/abc.mp3
https://None/song.mp3
https://cdn.example.org/audio.mp3?id=None
https://cdn.example.org/audio?item_id=undefined
https://cdn.example.org/audio?a=b&songId=
https://cdn.example.org/?item_id=None&x=1
https://cdn.example.org/?item_id=
null/abc.mp3
undefined/abc.mp3
""".strip().splitlines()
REAL = """
https://cdn.example.org/None%20of%20us.mp3
https://cdn.example.org/false-start.mp3
https://cdn.example.org/none-of-us.mp3
https://cdn.example.org/nonesuch.mp3
https://cdn.example.org/nilsson.mp3
https://cdn.example.org/nan-12ab.mp3
https://cdn.example.org/true.mp3
https://cdn.example.org/%F0%9F%8E%B5.mp3
https://cdn.example.org/%E9%9F%B3%E4%B9%90.mp3
https://cdn.example.org/none/3f2a.mp3
https://cdn.example.org/3f2a.mp3?id=None
https://cdn.example.org/rain.mp3?user_id=None
https://cdn.example.org/rain.mp3?signature=null
https://null.example.org/rain.mp3
https://cdn.example.org/audio?id=3f2a
https://cdn.example.org/?item_id=3f2a
https://cdn.example.org/8f3c12ab/audio.mp3?key=
https://cdn.example.org/8f3c12ab/audio.mp3?id=&t=1
https://cdn.example.org/8f3c/song.mp3?file=&dl=1
https://cdn.example.org/rain.mp3?key=
https://cdn.example.org/play?id=&song_id=abc12
https://cdn.example.org/play?id=None&song_id=abcdef
https://cdn.example.org/u/none/8f3c12-aa/audio.mp3
https://cdn.example.org/users/null/tracks/abcdef/audio.mp3
https://s3.example.org/b/None/audio.mp3?X-Amz-Signature=12
https://cdn.example.org/{3F2504E0-4F89-11D3-9A0C-0305E82C3301}.mp3
https://cdn.example.org/%7B3F2504E0-4F89-11D3-9A0C-0305E82C3301%7D.mp3
https://cdn.example.org/Nan-2.mp3
""".strip().splitlines()


@pytest.mark.parametrize("written", PLACEHOLDERS)
def test_a_link_made_of_a_missing_value_is_no_link(written: str) -> None:
    """As the name of the file, as its folder, its host or its id."""
    assert as_link(written, BASE) is None


@pytest.mark.parametrize("written", REAL)
def test_a_song_may_have_such_a_word_in_its_name(written: str) -> None:
    """And a file with an id is there, wherever that stands, and whatever stands around it."""
    assert as_link(written, BASE) == written


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


@pytest.mark.parametrize("link", ["HTTPS://cdn.example.org/a.mp3", "Http://cdn.example.org/a.mp3"])
def test_a_sound_file_is_seen_whatever_the_case_of_its_scheme(link: str) -> None:
    assert sound_links_in({"odd": [{"field": link}]}) == [link]
