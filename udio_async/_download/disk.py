"""Refusals of the disk: a table of every file operation.

docs/downloads.md shows it. Whatever is told is an `OSError` that names the file, the reason and the
remedy.
"""

import errno
import logging
import os
import sys
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from enum import Enum
from pathlib import Path
from typing import Protocol

import attrs

from .answers import FAULTY, AttemptFailed

logger = logging.getLogger("udio_async")


class DiskWatch(Protocol):
    """Is told whether songs can be saved: no song is bought that could not be."""

    def refused(self, directory: Path, error: OSError, /) -> None:
        """Take in that a folder takes no files now, and why."""
        ...

    def written(self, directory: Path, size: int, /) -> None:
        """Take in that a song of `size` bytes was written into a folder."""
        ...


class Step(Enum):
    """The steps in which a disk may refuse something."""

    FOLDER = "make the folder"
    OPEN = "open the part"
    WRITE = "write to it"
    READ = "read it back"
    SYNC = "make it durable"
    LINK = "give it its name, by a hard link"
    RENAME = "give it its name, by renaming it"
    SYNC_FOLDER = "make the name durable"
    REMOVE = "remove the part"
    LOOK = "look at what has the name"
    TAG = "write tags"
    COVER = "write the cover"


class Action(Enum):
    """The ways to meet a refusal."""

    HELD = "told; nothing more is submitted until the folder takes files again"
    TOLD = "told"
    AGAIN = "tried again, some times; then told"
    RENAMED = "renamed instead, unless the name is taken"
    JUDGED = "the song, if it is there whole; otherwise `DownloadFailed`: move it away"
    PASSED = "logged; the song is saved without"
    IGNORED = "nothing: the song is whole"


@attrs.frozen
class DiskRule:
    """Refusals that are met in the same way."""

    steps: tuple[Step, ...]
    names: tuple[str, ...]
    """Names of errors, as `errno` has them; empty means every other error."""
    action: Action
    remedy: str = ""

    def fits(self, step: Step, number: int | None) -> bool:
        """Return whether this row is about such a step and such an error."""
        known = [getattr(errno, name, None) for name in self.names]  # not all systems have all
        return step in self.steps and (not known or (number is not None and number in known))


WRITING = (Step.FOLDER, Step.OPEN, Step.WRITE, Step.READ, Step.SYNC, Step.RENAME)
DISK_RULES = (
    DiskRule((Step.LINK,), ("EEXIST",), Action.JUDGED),
    DiskRule((Step.LINK,), (), Action.RENAMED),
    DiskRule((Step.RENAME,), ("EEXIST",), Action.JUDGED),
    DiskRule((Step.LOOK,), (), Action.JUDGED),
    DiskRule((Step.SYNC_FOLDER, Step.REMOVE), (), Action.IGNORED),
    DiskRule((Step.TAG, Step.COVER), (), Action.PASSED),
    DiskRule((Step.SYNC,), ("EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"), Action.IGNORED),
    DiskRule(
        WRITING,
        ("ENOSPC", "EDQUOT"),
        Action.HELD,
        "make room on the disk of {folder}, or give another folder, and download it again",
    ),
    DiskRule(
        WRITING,
        ("EROFS",),
        Action.HELD,
        "mount the disk of {folder} so that it can be written to, or give another folder",
    ),
    DiskRule(
        WRITING,
        ("EACCES", "EPERM"),
        Action.HELD,
        "allow this user to write to {folder}, or give another folder",
    ),
    DiskRule(
        WRITING,
        ("EIO", "ENXIO", "ENODEV"),
        Action.HELD,
        "see whether the disk of {folder} is in order, or give another folder",
    ),
    DiskRule(
        (Step.FOLDER,),
        ("EEXIST",),
        Action.HELD,
        "this is a file, not a folder; give another folder",
    ),
    DiskRule(
        (Step.FOLDER,),
        ("ENOTDIR",),
        Action.HELD,
        "a part of this path is a file, not a folder; give another folder",
    ),
    DiskRule((Step.FOLDER,), (), Action.HELD, "give another folder"),
    DiskRule(
        WRITING,
        ("EAGAIN", "EBUSY", "EINTR", "EMFILE", "ENFILE", "ENOLCK", "ESTALE", "ETIMEDOUT"),
        Action.AGAIN,
        "download it again later",
    ),
    DiskRule(
        WRITING,
        ("ENOENT", "ENOTDIR"),
        Action.AGAIN,
        "see that nobody removes files in {folder} meanwhile, and download it again",
    ),
    DiskRule(
        WRITING, ("EFBIG",), Action.TOLD, "give a folder on a disk that takes files of this length"
    ),
    DiskRule(
        WRITING,
        ("ENAMETOOLONG", "EILSEQ", "EINVAL"),
        Action.TOLD,
        "give a folder with a shorter path, on a disk that takes such names",
    ),
    DiskRule(WRITING, (), Action.TOLD, "fix that, or give another folder, and download it again"),
)
"""The first row that fits decides."""


_HELD_OPEN = frozenset({32, 33})
"""Errors of Windows for a file that another program has open; Python makes EACCES of them."""


def disk_rule(step: Step, error: OSError) -> DiskRule:
    """Return the first row that fits an error in this step."""
    held_open = getattr(error, "winerror", None) in _HELD_OPEN
    number = errno.EBUSY if held_open else error.errno
    return next(rule for rule in DISK_RULES if rule.fits(step, number))


@attrs.define
class Disk:
    """The disk under one song, and the name that errors tell."""

    path: Path
    held: OSError | None = None
    """The last error that every other song would get as well."""

    @contextmanager
    def doing(self, step: Step) -> Generator[None]:
        """Do one step; if the disk refuses it, do what `DISK_RULES` says.

        Raises:
            OSError: another attempt would not help.
            AttemptFailed: another attempt may help; if there is none, its cause is raised.
        """
        try:
            yield
        except OSError as error:
            rule = disk_rule(step, error)
            told = self._told(step, error, rule)
            if rule.action is Action.HELD:
                self.held = told
            elif rule.action is Action.AGAIN:
                raise AttemptFailed(str(told), FAULTY) from told
            elif rule.action in (Action.PASSED, Action.IGNORED):
                logger.debug("%s: %s: %s", self.path, step.value, error)
                return
            raise told from error

    def _told(self, step: Step, error: OSError, rule: DiskRule) -> OSError:
        """Return the error that is told, with the reason and the remedy."""
        folder = self.path.parent
        reason = error.strerror or str(error)
        path = folder if step is Step.FOLDER else self.path
        remedy = rule.remedy.format(folder=folder)
        return OSError(error.errno, f"{reason}; {remedy}" if remedy else reason, str(path))

    def reading(self) -> AbstractContextManager[None]:
        """Read a part back, as one step."""
        return self.doing(Step.READ)

    def make_folder(self) -> None:
        """Make the folder, and all above it that are missing."""
        with self.doing(Step.FOLDER):
            self.path.parent.mkdir(parents=True, exist_ok=True)

    def sync(self, part: Path) -> None:
        """Wait until all bytes of a file are on the disk."""
        with self.doing(Step.SYNC):
            _sync(part, os.O_RDWR)

    def publish(self, part: Path, path: Path) -> None:
        """Give a file its name, durably, without taking it from another.

        Raises:
            FileExistsError: the name is taken; nothing was changed.
            OSError: the disk does not take it.
            AttemptFailed: it did not this time.
        """
        if not _link(part, path):
            # Without links, a file that another program makes at this moment would be lost.
            if os.path.lexists(path):
                raise FileExistsError(errno.EEXIST, "is there already", str(path))
            with self.doing(Step.RENAME):
                part.rename(path)
        if sys.platform != "win32":  # Windows cannot open a folder
            with self.doing(Step.SYNC_FOLDER):
                _sync(path.parent, os.O_RDONLY)


def _link(part: Path, path: Path) -> bool:
    """Give a file a second name; return whether the disk can do that.

    Raises:
        FileExistsError: the name is taken.
    """
    try:
        path.hardlink_to(part)
    except (
        OSError,
        NotImplementedError,
        AttributeError,
    ) as error:  # without links in Python
        if isinstance(error, OSError) and disk_rule(Step.LINK, error).action is Action.JUDGED:
            raise
        return False
    return True


def _sync(path: Path, how: int) -> None:
    """Open a file or a folder, and wait until the disk has it."""
    handle = os.open(path, how)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
