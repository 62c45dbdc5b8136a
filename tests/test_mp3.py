"""An MP3 is as long as its frames play. So is raw AAC."""

import random

import miniaudio
import pytest

from tests.kit.sounds import ADTS_SECONDS, ID3, MP3_FRAME, MP3_SECONDS, adts, mp3
from udio_async._formats import NoAudio, measure
from udio_async.sandbox._audio import make_mp3

SONG = make_mp3("a song")


def test_it_plays_as_long_as_a_decoder_says() -> None:
    """Our walk and an independent decoder agree to a hundredth of a second."""
    decoded = miniaudio.mp3_get_info(SONG).duration
    assert measure(SONG).seconds == pytest.approx(decoded, abs=0.01)
    assert measure(SONG).whole


@pytest.mark.parametrize(
    "before",
    [
        b"",
        ID3,
        bytes(500),
        bytes(100_000),
        ID3 + bytes(100_000),
        b"\xff\xfb\x90" + bytes(50),
        MP3_FRAME[:50],
    ],
)
@pytest.mark.parametrize("behind", [b"", b"TAG" + bytes(125), bytes(99)], ids=["end", "ID3v1", "0"])
def test_tags_and_padding_play_no_sound(before: bytes, behind: bytes) -> None:
    """What stands before and behind the frames changes nothing."""
    assert measure(before + mp3(50) + behind) == measure(mp3(50))
    assert measure(before + adts(50) + behind) == measure(adts(50))


def test_raw_aac_plays_1024_samples_a_frame() -> None:
    """Or more, where a frame says that it has several blocks."""
    assert measure(adts(50)).suffix == ".aac"
    assert measure(adts(50)).seconds == pytest.approx(50 * ADTS_SECONDS)
    four = bytearray(adts(1))
    four[6] |= 3
    assert measure(bytes(four) * 50).seconds == pytest.approx(200 * ADTS_SECONDS)


@pytest.mark.parametrize("data", [ID3, MP3_FRAME[:3], bytes(9) + mp3(2), ID3 + b"<html>"])
def test_what_has_no_frames_is_no_mp3(data: bytes) -> None:
    """A tag alone, the beginning of a frame, and what could be one by chance are refused."""
    with pytest.raises(NoAudio):
        measure(data)


@pytest.mark.parametrize("frames", [mp3(50), adts(50)], ids=["MP3", "AAC"])
def test_a_frame_that_is_cut_does_not_play(frames: bytes) -> None:
    """Not even when only its last byte is missing."""
    cut, less = measure(frames[:-1]), measure(frames[: -(len(frames) // 50)])
    assert cut.seconds == pytest.approx(less.seconds)
    assert (cut.whole, less.whole) == (False, True)


def test_a_cut_shows_unless_it_falls_on_the_edge_of_a_frame() -> None:
    """1,000 random cuts: each is seen, but where whole frames are left, which play less long."""
    source = random.Random(3)
    full = measure(SONG).seconds or 0
    for _ in range(1000):
        cut = measure(SONG[: source.randrange(2000, len(SONG) - 1)])
        assert not cut.whole or (cut.seconds or 0) < full


@pytest.mark.parametrize("mark", [b"Info", b"Xing", b"VBRI"])
def test_a_header_that_states_the_frames_gives_every_cut_away(mark: bytes) -> None:
    """Its own frame plays nothing; some programs count it, so the last one is in doubt."""
    assert measure(mp3(50, stated=50, mark=mark)) == measure(mp3(50))
    assert measure(mp3(50, stated=51, mark=mark)).whole
    cut = measure(mp3(48, stated=50, mark=mark))
    assert cut.flaw == "breaks off after 1.25 s, its header says 1.31 s"


def test_a_header_that_states_less_than_there_is_does_not_count() -> None:
    """Two files in a row, with their tags: what plays is the frames of both."""
    joined = measure(mp3(50, stated=50) + ID3 + mp3(50))
    assert joined.seconds == pytest.approx(100 * MP3_SECONDS)
    assert joined.whole


@pytest.mark.parametrize("noise", [b"noise", b"\xff" * 3000, mp3(1)[:50]])
def test_noise_between_frames_is_a_flaw_and_what_follows_plays(noise: bytes) -> None:
    """As players have it: they go on at the next frames in a row."""
    found = measure(mp3(9) + noise + mp3(9))
    assert found.seconds == pytest.approx(18 * MP3_SECONDS)
    assert found.flaw == "has something else than sound in its middle"


def test_a_file_of_noise_is_not_searched_for_ever() -> None:
    """64 KiB between the frames of a file are searched, and no more."""
    found = measure((mp3(9) + bytes(40_000)) * 9)
    assert found.seconds == pytest.approx(18 * MP3_SECONDS)
    assert found.flaw is not None
