"""Odd lists of songs: each fault takes the true list and spoils it."""

from collections.abc import Callable, Mapping

from ._tasks import MadeTask

Songs = list[dict[str, object]]
LIE_SECONDS = 180
NO_NAMES = ("None.mp3", "null", "undefined.mp3", "")
"""What stands in a link in place of the name of a file that does not exist."""


def _same_song_twice(songs: Songs, _: MadeTask) -> Songs:
    return [*songs, *songs[:1]]


def _placeholder(songs: Songs, task: MadeTask) -> Songs:
    """Let the links of a task's songs end in one of `NO_NAMES`.

    The next task gets the next name.
    """
    name = NO_NAMES[task.songs[0].number // len(task.songs) % len(NO_NAMES)]
    return [{**song, "audio_url": _renamed(song["audio_url"], name)} for song in songs]


def _renamed(link: object, name: str) -> object:
    """Return a link to another name; anything but a link to a file is left as it is."""
    is_final = isinstance(link, str) and "/media/" in link
    return f"{str(link).rpartition('/')[0]}/{name}" if is_final else link


def _duration_lies(songs: Songs, _: MadeTask) -> Songs:
    return [{**song, "duration": _more(song["duration"])} for song in songs]


def _more(seconds: object) -> object:
    return seconds + LIE_SECONDS if isinstance(seconds, float) else seconds


def _odd_fields(songs: Songs, task: MadeTask) -> Songs:
    """Spoil all fields but id, status and link, without which there is no song."""
    return [
        {
            **song,
            "title": 42,
            "tags": ["pop", 96],
            "duration": _as_text(made.duration),
            "image_url": None,
            "image_large_url": None,
            "created_at": "yesterday",
            "createTime": 0,
            "timestamp": "soon",
        }
        for song, made in zip(songs, task.songs, strict=True)
    ]


def _as_text(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


_ODDITIES: Mapping[str, Callable[[Songs, MadeTask], Songs]] = {
    "same_song_twice": _same_song_twice,
    "placeholder": _placeholder,
    "duration_lies": _duration_lies,
    "odd_fields": _odd_fields,
}


def as_told(songs: Songs, task: MadeTask) -> Songs:
    """Return the songs of a task as an answer shows them.

    They are the true ones, unless the fault of the task is in `_ODDITIES`.
    """
    spoil = _ODDITIES.get(task.kind)
    return spoil(songs, task) if spoil and songs else songs
