"""What a process did to its journal and to its sockets, as strace saw it."""

import re
import shutil
import subprocess
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from typing import Literal

import attrs

from tests.crash.world import environment

CALLS = "openat,write,pwrite64,fsync,fdatasync,ftruncate,unlink,unlinkat,rename,close,sendto"
_LINE = re.compile(r"^(\d+) +(.*)$")
_CALL = re.compile(r"^(\w+)\((.*)\) += (-?\d+)(?: .*)?$")
_RESUMED = re.compile(r"^<\.\.\. (\w+) resumed>(.*)$")
_UNFINISHED = " <unfinished ...>"


def missing() -> str:
    """Return why system calls cannot be traced here; "" if they can."""
    strace = shutil.which("strace")
    if strace is None:
        return "strace is not installed"
    done = subprocess.run(
        [strace, "-qq", "-e", "trace=none", "true"], capture_output=True, check=False
    )
    return "" if done.returncode == 0 else "strace may not trace processes here"


@attrs.frozen
class Step:
    """One thing that was done, in the order in which it may have reached the disk or the wire."""

    kind: Literal["open", "write", "truncate", "sync", "unlink", "post", "told"]
    path: str = ""
    offset: int = 0
    data: bytes = b""


def record(command: Sequence[str], log: Path) -> None:
    """Run a command to its end, and keep its system calls."""
    strace = ["strace", "-f", "-qq", "-xx", "-s", "100000", "--seccomp-bpf", "-o", str(log)]
    subprocess.run(
        [*strace, "-e", f"trace={CALLS}", *command],
        env=environment(),
        check=True,
        capture_output=True,
        timeout=50,
    )


def read_steps(log: Path, folder: Path) -> list[Step]:
    """Return what was done to the files of a folder, to sockets and to the standard output.

    A write or a submit counts from when it was begun, a sync from when it was over.
    """
    handles: dict[int, str] = {}
    begun: dict[str, str] = {}
    steps: list[Step] = []
    with log.open() as lines:
        for line in lines:
            steps += _read_line(line.rstrip("\n"), begun, handles, str(folder))
    return steps


def _read_line(
    line: str, begun: dict[str, str], handles: dict[int, str], folder: str
) -> Iterable[Step]:
    parts = _LINE.match(line)
    if parts is None:
        return []
    thread, text = parts.groups()
    if text.endswith(_UNFINISHED):
        start = begun[thread] = text.removesuffix(_UNFINISHED)
        name, _, arguments = start.partition("(")
        return [step for step in _steps(name, arguments, 0, handles, folder) if _counts_early(step)]
    resumed = _RESUMED.match(text)
    if resumed is not None:
        call = _CALL.match(begun.pop(thread) + resumed[2])
        found = list(_steps(call[1], call[2], int(call[3]), handles, folder)) if call else []
        return [step for step in found if not _counts_early(step)]
    call = _CALL.match(text)
    return list(_steps(call[1], call[2], int(call[3]), handles, folder)) if call else []


def _counts_early(step: Step) -> bool:
    return step.kind in ("write", "post")


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.strip().removeprefix('"').removesuffix('"').replace("\\x", ""))


def _steps(
    name: str, arguments: str, result: int, handles: dict[int, str], folder: str
) -> Generator[Step]:
    """Turn one call into what it did; the arguments hold no commas but between them."""
    words = [word.strip() for word in arguments.split(",")]
    if result < 0:
        return
    if name == "openat":
        path = _bytes(words[1]).decode()
        handles[result] = path
        if path.startswith(folder + "/") and "O_CREAT" in words[2]:
            yield Step("open", path)
    elif name in ("unlink", "unlinkat"):
        path = _bytes(words[0 if name == "unlink" else 1]).decode()
        if path.startswith(folder):
            yield Step("unlink", path)
    elif words[0].isdigit():
        yield from _steps_of_handle(name, words, handles, folder)


def _steps_of_handle(
    name: str, words: list[str], handles: dict[int, str], folder: str
) -> Generator[Step]:
    handle = int(words[0])
    path = handles.get(handle, "")
    ours = path.startswith(folder)
    if name == "close":
        handles.pop(handle, None)
    elif name == "sendto" and (data := _bytes(words[1])):
        yield Step("post", data=data)
    elif name == "write" and handle == 1:
        yield Step("told", data=_bytes(words[1]))
    elif ours and name == "pwrite64":
        yield Step("write", path, int(words[3]), _bytes(words[1]))
    elif ours and name == "ftruncate":
        yield Step("truncate", path, int(words[1]))
    elif ours and name in ("fsync", "fdatasync"):
        yield Step("sync", path)
    elif ours and name in ("write", "rename"):
        raise NotImplementedError(f"the replay knows no {name} of {path}")
