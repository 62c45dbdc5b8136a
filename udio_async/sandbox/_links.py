"""Links to the files of songs."""

from ._tasks import MadeSong, MadeTask


def audio_link(task: MadeTask, song: MadeSong, origin: str) -> str:
    """Return the link to a song's file. It ends in `.mp3`, whatever the file is."""
    link = f"{origin}media/{song.id}.mp3"
    if task.kind == "link_expired":
        return f"{link}?link={2 if song.id in task.ended_links else 1}"
    return link


def cover_link(song: MadeSong, origin: str) -> str:
    """Return the link to a song's cover."""
    return f"{origin}media/{song.id}.png"


def stream_link(song: MadeSong, origin: str) -> str:
    """Return the link to the part that exists of a song that is being made."""
    return f"{origin}stream/?item_id={song.id}"
