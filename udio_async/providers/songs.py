"""Which entries of an answer are songs of their own."""

from collections.abc import Sequence
from itertools import count


def distinct_songs(songs: Sequence[tuple[str | None, str | None]], task_id: str) -> dict[str, int]:
    """Return which entries are songs of their own: the id of each song, and its place in `songs`.

    Of a song that is listed twice, the entry with a file counts. Two files are two songs, also if
    both have the same id. An entry whose id is missing, or is the task's id, is a song of its own.
    A song without an id of its own gets one from its task and its number, which counts from 0.

    Args:
        songs: of each entry, the song's id and the link to its file; None where there is none.
        task_id: the task of these songs.
    """
    files = {song_id: file for song_id, file in reversed(songs) if file}
    places: dict[object, int] = {}
    for place, (song_id, file) in enumerate(songs):
        has_id = song_id not in (None, task_id)
        song = (song_id, file or files.get(song_id)) if has_id else place
        if song not in places or (file and not songs[places[song]][1]):
            places[song] = place
    found: dict[str, int] = {}
    for place in places.values():
        name = songs[place][0]
        if name is None or name in (task_id, *found):
            numbered = (f"{task_id}-{number}" for number in count(len(found)))
            name = next(one for one in numbered if one not in found)
        found[name] = place
    return found
