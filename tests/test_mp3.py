"""An MP3 is as long as its frames play."""

import random

import miniaudio
import pytest

from tests.test_download import FRAME
from udio_async._mp3 import Measured, NoMp3, measure
from udio_async.sandbox._audio import make_mp3

SONG = make_mp3("a song")
ID3 = b"ID3\x04\x00\x00" + bytes((0, 0, 1, 0)) + bytes(128)
"""An ID3v2 tag of 128 bytes, as its size in sevens of bits says."""


def test_it_plays_as_long_as_a_decoder_says() -> None:
    """Our walk and an independent decoder agree to a hundredth of a second."""
    decoded = miniaudio.mp3_get_info(SONG).duration
    assert measure(SONG).seconds == pytest.approx(decoded, abs=0.01)
    assert measure(SONG).whole


@pytest.mark.parametrize("before", [b"", ID3, bytes(500)], ids=["nothing", "ID3v2", "padding"])
@pytest.mark.parametrize("behind", [b"", b"TAG" + bytes(125), bytes(99)], ids=["end", "ID3v1", "0"])
def test_tags_and_padding_play_no_sound(before: bytes, behind: bytes) -> None:
    """What stands before and behind the frames changes nothing."""
    assert measure(before + FRAME * 50 + behind) == measure(FRAME * 50)


@pytest.mark.parametrize("data", [b"", b"\xff", b"<html>" * 99, bytes(9999), ID3, FRAME[:3]])
def test_what_has_no_frames_is_no_mp3(data: bytes) -> None:
    """A page, silence in zeros or a tag alone is refused."""
    with pytest.raises(NoMp3):
        measure(data)


def test_a_cut_shows_unless_it_falls_on_the_edge_of_a_frame() -> None:
    """1,000 random cuts: each is seen, but where whole frames are left, which play less long."""
    source = random.Random(3)
    full = measure(SONG)
    for _ in range(1000):
        cut = measure(SONG[: source.randrange(2000, len(SONG) - 1)])
        assert not cut.whole or cut.seconds < full.seconds


def test_noise_between_frames_is_not_walked_over() -> None:
    """What follows something that is no frame does not count as playing."""
    assert measure(FRAME * 9 + b"noise" + FRAME * 9) == Measured(
        measure(FRAME * 9).seconds, whole=False
    )
