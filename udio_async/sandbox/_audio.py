"""A short tune for each song, as an MP3 file by LAME."""

import array
import math
import random
from functools import lru_cache

import attrs
import lameenc

RATE = 22_050
"""Samples in a second."""
_BITRATE = 64  # kbit/s, constant, so that a part of the file lasts the same part of the tune
_FRAME = 576  # samples in one frame at this rate (MPEG-2 layer III)
_EXTRA_FRAMES = 2  # LAME's run-in and run-out

# Four chords as steps above the key (root, third, fifth), and home again.
_PROGRESSIONS = (
    ((0, 4, 7), (7, 11, 14), (9, 12, 16), (5, 9, 12), (0, 4, 7)),  # I V vi IV I
    ((0, 4, 7), (9, 12, 16), (5, 9, 12), (7, 11, 14), (0, 4, 7)),  # I vi IV V I
    ((0, 3, 7), (8, 12, 15), (3, 7, 10), (10, 14, 17), (0, 3, 7)),  # i VI III VII i
)
_PENTATONIC = {4: (0, 2, 4, 7, 9, 12, 14, 16), 3: (0, 3, 5, 7, 10, 12, 15, 17)}  # major, minor
# How loud each overtone is. All voices together stay below 32,767, the loudest that fits.
_PAD, _BASS = (2_200.0, 400.0), (4_000.0, 700.0)
_TIMBRES = (  # flute, organ, reed, bell
    (7_000.0, 1_200.0, 300.0),
    (5_000.0, 2_300.0, 0.0, 1_200.0),
    (5_500.0, 0.0, 1_900.0, 0.0, 1_100.0),
    (5_200.0, 1_500.0, 0.0, 0.0, 1_100.0, 0.0, 700.0),
)
_NOTES_PER_CHORD = 4


@attrs.frozen
class Tune:
    """The score of one song: enough to know how long it is without playing it."""

    key: int  # a MIDI note
    chords: tuple[tuple[int, int, int], ...]
    melody: tuple[int, ...]  # MIDI notes
    timbre: tuple[float, ...]
    note_length: int  # samples

    @property
    def samples(self) -> int:
        """How many samples it has."""
        return len(self.melody) * self.note_length

    @property
    def duration(self) -> float:
        """Seconds that the MP3 plays: whole frames, with the encoder's own two."""
        return (math.ceil(self.samples / _FRAME) + _EXTRA_FRAMES) * _FRAME / RATE


def compose(song_id: str) -> Tune:
    """Write the tune of a song; the same id gives the same tune."""
    dice = random.Random(f"tune {song_id}")  # noqa: S311 - music, not a secret
    key = dice.randint(57, 68)
    chords = dice.choice(_PROGRESSIONS)
    beats_per_minute = dice.randrange(100, 148, 4)
    return Tune(
        key=key,
        chords=chords,
        melody=_compose_melody(dice, key, chords),
        timbre=dice.choice(_TIMBRES),
        note_length=RATE * 30 // beats_per_minute,  # half a beat
    )


@lru_cache(maxsize=512)  # 25 MB, and each costs a tenth of a second
def make_mp3(song_id: str) -> bytes:
    """Play a song's tune into an MP3 file; the same id gives the same bytes."""
    encoder = lameenc.Encoder()
    encoder.silence()  # no banner on stdout
    encoder.set_bit_rate(_BITRATE)
    encoder.set_in_sample_rate(RATE)
    encoder.set_channels(1)
    encoder.set_quality(7)  # the fast end: nobody listens for artefacts here
    return bytes(encoder.encode(play(song_id).tobytes()) + encoder.flush())


def play(song_id: str) -> "array.array[int]":
    """Play a song's tune: 16 bits, mono."""
    return _play(compose(song_id))


def _compose_melody(
    dice: random.Random, key: int, chords: tuple[tuple[int, int, int], ...]
) -> tuple[int, ...]:
    """Go over a pentatonic scale in small steps, which never sounds bad."""
    scale = _PENTATONIC[chords[0][1]]
    place, notes = dice.randrange(2, 6), []
    for _ in range((len(chords) - 1) * _NOTES_PER_CHORD):
        place = min(max(place + dice.choice((-2, -1, -1, 0, 1, 1, 2)), 0), len(scale) - 1)
        notes.append(key + 12 + scale[place])
    return (*notes, *(key + 12 for _ in range(_NOTES_PER_CHORD)))  # and come to rest


def _play(tune: Tune) -> "array.array[int]":
    """Mix all voices of a tune."""
    samples = array.array("h")
    fade_chord = _fade(tune.note_length * _NOTES_PER_CHORD, 1.5)
    fade_note = _fade(tune.note_length, 3.0) * _NOTES_PER_CHORD
    for number, chord in enumerate(tune.chords):
        notes = tune.melody[number * _NOTES_PER_CHORD : (number + 1) * _NOTES_PER_CHORD]
        melody = [s for note in notes for s in _tone(tune.timbre, note, tune.note_length)]
        low, middle, high = (_tone(_PAD, tune.key + step, len(melody)) for step in chord)
        bass = _tone(_BASS, tune.key + chord[0] - 24, len(melody))
        # One loop for all voices: this is where the time goes.
        voices = zip(low, middle, high, bass, fade_chord, melody, fade_note, strict=True)
        mixed = [(a + b + c + d) * slow + m * fast for a, b, c, d, slow, m, fast in voices]
        samples.extend(map(int, mixed))
    return samples


def _tone(timbre: tuple[float, ...], note: int, length: int) -> list[float]:
    wave = _wave(timbre, note)
    return (wave * (length // len(wave) + 1))[:length]


@lru_cache(maxsize=512)
def _wave(timbre: tuple[float, ...], note: int) -> list[float]:
    """Return some whole periods of a tone, to be repeated.

    They are several, so that it is in tune.
    """
    period = RATE / (440.0 * 2 ** ((note - 69) / 12))
    periods = max(1, int(1_000 / period))
    length = round(periods * period)
    turn = 2 * math.pi * periods / length
    return [
        sum(loud * math.sin(turn * (k + 1) * i) for k, loud in enumerate(timbre) if loud)
        for i in range(length)
    ]


@lru_cache(maxsize=64)
def _fade(length: int, speed: float) -> list[float]:
    """Return the loudness of a plucked note over its time.

    Up at once, then away, without a click at the end.
    """
    rise, fall = RATE // 200, RATE // 50
    return [
        min(i / rise, 1.0, (length - 1 - i) / fall) * math.exp(-speed * i / length)
        for i in range(length)
    ]
