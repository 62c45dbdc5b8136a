"""One song, from its link to its name on the disk."""

import functools
import logging
import shutil
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import anyio
import anyio.to_thread
import attrs

from .._errors import DownloadFailed, UdioError
from .._formats import NoAudio
from .._http import HttpSender
from .._records import Song
from .answers import BREAKS_OFF, CUT, NO_AUDIO, SHORT, AttemptFailed, failed
from .cover import fetch_cover, keep_cover, kind_of
from .disk import Disk, DiskWatch
from .names import file_name
from .parts import Part, part_of, remove
from .sound import MeasuredFile, Saved, agrees, find, is_short, measure_file, present, taken
from .tags import check_can_tag, write_tags
from .transfer import Transfer
from .waiting import Limits, Patience, Tries

_LOOK_AGAIN = 30.0
"""After so many seconds of waiting for the file of a new song, its task is looked at again."""
_LOOKS = 2
_GROWING = 5.0
"""Seconds after which a file that is still being written has grown."""
logger = logging.getLogger("udio_async")

Refresh = Callable[[Song], Awaitable[Song | None]]
"""Returns the song with its present link, or None."""
Age = Callable[[Song], Awaitable[float | None]]
"""Returns the seconds since a song was completed; None where that is not known."""
Late = Callable[[Song, Exception, float], None]
"""Called with a song whose file is waited for, the reason, and the seconds of the wait."""


@attrs.frozen(kw_only=True)
class DownloadOptions:
    """Wishes for a download, as the user gave them."""

    directory: Path
    covers: bool = False
    tags: bool = False
    patience: float
    """Seconds that the file of a new song is waited for, from its completion on."""

    def __attrs_post_init__(self) -> None:
        if self.tags:
            check_can_tag()


@attrs.frozen(kw_only=True)
class DownloadContext:
    """Tools for a download, as the client has them."""

    http: HttpSender
    refresh: Refresh
    age: Age
    late: Late
    local: bool
    """The provider is on this machine, so its links may lead there too."""
    watch: DiskWatch
    slot: AbstractAsyncContextManager[object]
    """Held while a file is open: few of them are at once."""
    sweep: Callable[[Path, float], None]
    """Called with a folder, and the time by the clock of its disk, once it is written to."""
    limits: Limits


async def deliver(song: Song, how: DownloadOptions, means: DownloadContext) -> Saved:
    """Save the audio of a song as `TITLE-FINGERPRINT.mp3` (or .wav, ...).

    A song that is there already, whole, is not fetched again. A missing cover is only logged.

    Raises:
        DownloadFailed: it is not served, or is not a whole song; the class says which.
        OSError: the disk does not take it.
    """
    saved = None
    if present(how.directory, song):  # usually nothing is: then no thread is woken
        saved = await anyio.to_thread.run_sync(find, how.directory, song)
    if saved is None:
        saved = await _Delivery(await _as_final(song, means), how, means).run()
    if not how.covers:
        return saved
    picture = await fetch_cover(means.http, song, saved.path, local=means.local)
    if picture is None:
        return saved
    cover = await anyio.to_thread.run_sync(keep_cover, saved.path, song, picture)
    return attrs.evolve(saved, cover=cover)


async def _as_final(song: Song, means: DownloadContext) -> Song:
    """Return the song with a link to its file.

    Some tasks end while their link is still a live stream. A look shows whether the file is there.

    Raises:
        DownloadFailed: there is no final file yet.
    """
    if song.audio_url is not None and song.audio_is_final:
        return song
    fresh = await _look(song, means)
    if fresh is None:
        raise failed(
            DownloadFailed, song, "is no final file yet", remedy="wait until it is complete"
        )
    # The duration that was stated for the stream does not count.
    return attrs.evolve(
        song, audio_url=fresh.audio_url, audio_is_final=True, duration=fresh.duration
    )


async def _look(song: Song, means: DownloadContext) -> Song | None:
    """Look at the task once; return the song as it is now, if it has a final link."""
    try:
        fresh = await means.refresh(song)
    except Exception as error:  # noqa: BLE001  # it must not hide why the file did not come
        logger.warning("no new link for song %s: %r", song.id, error)
        return None
    if fresh is None or fresh.audio_url is None or not fresh.audio_is_final:
        return None
    return fresh


@attrs.define(eq=False)
class _Delivery:
    """The download of one song: attempts, waits, looks for a new link.

    It owns the part file, and removes it at the end.
    """

    _song: Song
    _how: DownloadOptions
    _means: DownloadContext
    _part: Part = attrs.field(init=False)
    _transfer: Transfer = attrs.field(init=False)
    _tries: Tries = attrs.field(init=False)
    _patience: Patience = attrs.field(init=False)
    _looks: int = 0
    """How often the task was looked at for a new link."""
    _before: str | None = None
    """The SHA-256 of the last file that came and was not accepted."""
    _same: int = 0
    """How often that file has come in a row."""

    def __attrs_post_init__(self) -> None:
        self._part = Part(Disk(self._how.directory / file_name(self._song)))
        age = functools.partial(self._means.age, self._song)
        self._patience = Patience(age, self._how.patience, self._tell_late)
        self._begin()

    def _begin(self) -> None:
        """Begin anew, with the full number of attempts and the full time."""
        self._transfer = Transfer(self._part, self._means.limits)
        self._tries = Tries(self._means.limits)

    async def run(self) -> Saved:
        """Fetch the song, and give it its name.

        Raises:
            DownloadFailed, OSError: as `deliver`.
        """
        try:
            saved = await self._fetch()
        except AttemptFailed as error:
            raise self._final(error) from None
        finally:
            self._part.remove()
            if self._part.disk.held is not None:
                self._means.watch.refused(self._how.directory, self._part.disk.held)
        self._means.watch.written(self._how.directory, saved.size)
        if saved.mismatch is not None:
            logger.warning("song %s is saved, but %s", self._song.id, saved.mismatch)
        return saved

    # Fetching

    async def _fetch(self) -> Saved:
        """Fetch the file, again and again as long as that can help."""
        while True:
            try:
                return await self._attempt()
            except AttemptFailed as error:
                if not await self._may_help(error):
                    raise

    async def _attempt(self) -> Saved:
        """Ask for the file once, judge what came, and give it its name.

        What takes time is done in one thread: to wake one takes longer than to save a small song.

        Raises:
            AttemptFailed: no file came, or none that can be accepted.
        """
        cut = None
        async with self._means.slot:
            try:
                with self._part.opened() as now:
                    self._means.sweep(self._how.directory, now)
                    await self._transfer.fetch(
                        self._means.http,
                        self._song.audio_url or "",
                        timeout=self._tries.seconds,
                        local=self._means.local,
                    )
            except AttemptFailed as error:
                if error.rule is not CUT:
                    raise
                cut = error
            if not self._how.tags:
                return await anyio.to_thread.run_sync(self._keep, cut)
            sound = await anyio.to_thread.run_sync(self._accepted, cut)
        return await self._keep_tagged(sound)

    def _keep(self, cut: AttemptFailed | None) -> Saved:
        """Judge the file that came, and give it its name."""
        return self._finish(self._part.path, self._accepted(cut))

    def _accepted(self, cut: AttemptFailed | None) -> MeasuredFile:
        """Return the file that came, if it can be accepted."""
        return self._judge(self._measure(cut), cut)

    def _measure(self, cut: AttemptFailed | None) -> MeasuredFile:
        """Measure the file that came.

        Raises:
            AttemptFailed: it is not audio; or `cut`, if the transfer was cut, which explains that.
        """
        try:
            with self._part.disk.reading():
                return measure_file(self._part.path, self._song)
        except NoAudio as error:
            if cut is not None:
                raise cut from None
            self._transfer.start_over()
            raise AttemptFailed(f"is {error}", NO_AUDIO) from None

    def _judge(self, sound: MeasuredFile, cut: AttemptFailed | None) -> MeasuredFile:
        """Accept a whole file, or one of which the same bytes came twice.

        Three sources say how long a file is: the transfer, the file itself, and the duration that
        the provider stated. If one of them says that the file is too short, it has to come twice.
        If the file itself says so, it is accepted only when the time to wait for a better one is
        over.

        Raises:
            AttemptFailed: it is not whole; or it may be too short, and has come only once.
        """
        if cut is not None:
            return self._judge_cut(sound, cut)
        flaw = sound.measured.flaw
        if flaw is not None:
            if self._is_all_there_is(sound):
                return sound
            self._before = sound.sha256
            error = AttemptFailed(flaw, BREAKS_OFF, wait=_GROWING)
        elif not is_short(sound, self._song) or self._has_come(sound, times=2):
            return sound
        else:
            error = AttemptFailed(f"{sound.mismatch}", SHORT, wait=_GROWING)
        self._transfer.start_over()  # only whole files can be compared
        raise error

    def _judge_cut(self, sound: MeasuredFile, cut: AttemptFailed) -> MeasuredFile:
        """Accept what a broken transfer brought, if it seems whole and has come often enough.

        Raises:
            AttemptFailed: `cut`, if it does not seem whole, or has not come often enough.
        """
        is_bad = sound.measured.flaw is not None or is_short(sound, self._song)
        if is_bad or not self._is_whole_all_the_same(sound):
            raise cut
        # Where nobody says how long it is, two cuts at the same place may still be an accident.
        known = self._transfer.says_length or agrees(sound, self._song)
        if self._has_come(sound, times=2 if known else 3):
            return attrs.evolve(sound, mismatch=cut.what)
        self._transfer.start_over()  # only whole files can be compared
        raise cut

    def _has_come(self, sound: MeasuredFile, *, times: int) -> bool:
        """Count this file; return whether the same bytes have come so many `times` in a row."""
        self._same = self._same + 1 if sound.sha256 == self._before else 1
        self._before = sound.sha256
        return self._same >= times

    def _is_all_there_is(self, sound: MeasuredFile) -> bool:
        """Return whether the provider has nothing better than this file with a flaw."""
        if not self._patience.is_over or sound.sha256 != self._before:
            return False
        if not sound.measured.seconds or is_short(sound, self._song):
            return False
        return self._transfer.is_all_there or agrees(sound, self._song)

    def _is_whole_all_the_same(self, sound: MeasuredFile) -> bool:
        """Return whether a transfer that was cut may still have brought the whole file."""
        if not sound.is_measured:
            return False
        return self._transfer.may_have_lied or sound.states_its_end or agrees(sound, self._song)

    async def _may_help(self, error: AttemptFailed) -> bool:
        """Do what may help; return whether another attempt is worth it.

        Before it is given up, the task is looked at: that is free, and may show another link.
        """
        rule = error.rule
        if rule.relink and self._may_look() and await self._find_new_link():
            return True
        if rule.late and await self._patience.again(error):
            self._tries = Tries(self._means.limits)  # the attempts count from here
            return True
        if rule.again and await self._tries.again(error):
            return True
        return self._looks == 0 and not error.is_of_disk and await self._find_new_link()

    def _may_look(self) -> bool:
        """Return whether the task may show another link.

        It is looked at once at first, and once more after a longer wait.
        """
        return self._looks < (_LOOKS if self._patience.waited >= _LOOK_AGAIN else 1)

    async def _find_new_link(self) -> bool:
        """Look at the task; return whether there is another link now."""
        self._looks += 1
        fresh = await _look(self._song, self._means)
        if fresh is None or fresh.audio_url == self._song.audio_url:
            return False
        logger.info("song %s has a new link", self._song.id)
        self._song = attrs.evolve(self._song, audio_url=fresh.audio_url)
        self._part.clear()
        self._begin()
        return True

    def _tell_late(self, error: AttemptFailed, wait: float) -> None:
        self._means.late(self._song, self._final(error), wait)

    def _final(self, error: AttemptFailed) -> UdioError | OSError:
        """Return the error that is raised if nothing has helped."""
        if isinstance(error.__cause__, OSError):
            return error.__cause__
        kind, what = error.ends_as(new=self._patience.is_new)
        return failed(kind, self._song, what)

    # Finishing

    async def _keep_tagged(self, sound: MeasuredFile) -> Saved:
        """Give the song its name, with its tags."""
        tagged = part_of(self._part.disk.path)
        try:
            part, sound = await self._tag(sound, tagged)
            return await anyio.to_thread.run_sync(self._finish, part, sound)
        finally:
            remove(tagged)

    async def _tag(self, sound: MeasuredFile, tagged: Path) -> tuple[Path, MeasuredFile]:
        """Return a copy with tags; or the file as it came, if they fail, and the log says so."""
        part, song = self._part.path, self._song
        picture = await fetch_cover(
            self._means.http, song, self._part.disk.path, local=self._means.local
        )
        write = functools.partial(_write_tags, part, tagged, song, picture, sound)
        try:
            return tagged, await anyio.to_thread.run_sync(write)
        except OSError as error:
            logger.warning("no tags for song %s: %s", song.id, error)
            return part, sound

    def _finish(self, part: Path, sound: MeasuredFile) -> Saved:
        """Make the file durable and give it its name.

        A file that has the name already is not touched.
        """
        disk, song = self._part.disk, self._song
        path = self._how.directory / file_name(song, suffix=sound.measured.suffix)
        try:
            disk.sync(part)
            disk.publish(part, path)
        except AttemptFailed:
            self._transfer.start_over()
            raise
        except FileExistsError:  # another process was quicker, or it is another file
            there = find(self._how.directory, song, sha256=sound.sha256)
            if there is None:  # it is not this song, or gone again
                raise taken(path, song) from None
            return there
        return sound.saved_as(path)


def _write_tags(
    part: Path, tagged: Path, song: Song, picture: bytes | None, sound: MeasuredFile
) -> MeasuredFile:
    """Make a copy with tags, and measure it.

    An error in the copy does no harm to the song.
    """
    shutil.copyfile(part, tagged)
    media_type = kind_of(picture)[1] if picture else ""
    write_tags(tagged, song, picture, media_type, sound.measured.suffix)
    return attrs.evolve(measure_file(tagged, song), mismatch=sound.mismatch)
