"""Batches of the shell in odd places: behind a proxy that breaks TLS, and on odd disks.

In each: every song is here and whole, each request is paid for once, the exit codes are right and
nobody has to read a traceback. Run as a program, it does so with many requests:

    python -m tests.places.odd --requests 200
"""

import argparse
import contextlib
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import attrs
from anyio.abc import ByteStream, SocketAttribute, SocketStream
from anyio.from_thread import start_blocking_portal
from anyio.streams.tls import TLSStream

from udio_async import Sandbox

SPEED = 400.0
HOST = "songs.example.com"
KEY = "key-of-odd-places"
UDIO = (sys.executable, "-W", "error", "-m", "udio_async.cli")
UNSHARE = shutil.which("unshare")
_SECONDS = 500
_ROOM = "40%"
"""Of the memory: the size of a disk on which there is room."""


@attrs.frozen
class Ran:
    """What a finished command left behind."""

    code: int
    out: str
    err: str

    def check(self, code: int) -> None:
        assert self.code == code, f"exit code {self.code}, not {code}: {self.err}"
        assert "Traceback" not in self.err, self.err
        assert KEY not in self.out + self.err


@attrs.frozen
class Case:
    """A batch of so many requests at a sandbox of its own, in a folder of its own."""

    folder: Path
    sandbox: Sandbox
    requests: int

    @property
    def songs(self) -> Path:
        return self.folder / "songs"

    def batch(self, base_url: str | None = None) -> list[str]:
        """The command; some titles are long, and some are no ASCII."""
        ideas = self.folder / "ideas.jsonl"
        titles = ("Rain", "é" * 80, "Ärger im Café ♫", "雨" * 60)
        lines = [
            {"lyrics": f"la {place}", "style": "pop", "title": titles[place % len(titles)]}
            for place in range(self.requests)
        ]
        ideas.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        url = base_url or self.sandbox.base_url
        at = ("--base-url", url, "--speed", str(SPEED), "--no-progress", "--yes")
        return [*UDIO, "batch", str(ideas), "--out", str(self.songs), *at]

    def check_paid(self) -> None:
        """Each request was paid for once, and no other."""
        charged = Counter(charge.prompt for charge in self.sandbox.ledger)
        assert charged == {f"la {place}": 1 for place in range(self.requests)}

    def verify(self) -> list[str]:
        return [*UDIO, "verify", str(self.songs), "--text"]

    def check_verified(self, ran: Ran) -> None:
        ran.check(0)
        assert ran.out == f"{2 * self.requests} songs ok, 0 not.\n"


def environment(**more: str) -> dict[str, str]:
    """Both keys, and nothing of this machine's networks and locale."""
    odd = ("proxy", "ssl_cert", "pythonpath", "lc_", "lang", "pythonutf8")
    kept = {
        name: value for name, value in os.environ.items() if not any(x in name.lower() for x in odd)
    }
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (more.pop("PYTHONPATH", ""), root)))
    return {**kept, "UDIOAPI_API_KEY": KEY, "LC_ALL": "C.UTF-8", "PYTHONPATH": path, **more}


def run(command: list[str], env: dict[str, str]) -> Ran:
    ran = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=env,
        timeout=_SECONDS,
        check=False,
    )
    return Ran(ran.returncode, ran.stdout.decode(), ran.stderr.decode(errors="replace"))


# A proxy -------------------------------------------------------------------------------------


def make_ca(folder: Path) -> None:
    """Make a certificate for the host that only who has it can verify, and its key."""
    wanted = f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={HOST}".split()
    names = ["-addext", f"subjectAltName=DNS:{HOST}"]
    files = ["-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"]
    subprocess.run(["openssl", *wanted, *names, *files], check=True, capture_output=True)


@attrs.define
class Breaker:
    """A proxy that breaks TLS, as those of companies do, before a service on this machine."""

    folder: Path
    port: int
    tunnels: int = 0

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[str]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "cert.pem", self.folder / "key.pem")

        async def attend(stream: SocketStream) -> None:
            async with stream:
                with contextlib.suppress(
                    anyio.BrokenResourceError, anyio.EndOfStream, anyio.ClosedResourceError, OSError
                ):
                    await self._tunnel(stream, context)

        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, attend)
            yield f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}"
            tasks.cancel_scope.cancel()

    async def _tunnel(self, stream: SocketStream, context: ssl.SSLContext) -> None:
        asked = await stream.receive()
        assert asked.startswith(f"CONNECT {HOST}:443 ".encode()), asked
        self.tunnels += 1
        await stream.send(b"HTTP/1.1 200 Yes\r\n\r\n")
        client = await TLSStream.wrap(
            stream, server_side=True, ssl_context=context, standard_compatible=False
        )
        async with (
            await anyio.connect_tcp("127.0.0.1", self.port) as service,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(_send_requests, client, service, tasks.cancel_scope)
            with contextlib.suppress(anyio.BrokenResourceError, anyio.EndOfStream):
                while True:
                    await client.send(await service.receive())
            tasks.cancel_scope.cancel()


async def _send_requests(client: ByteStream, service: ByteStream, scope: anyio.CancelScope) -> None:
    """Hand requests on, each with the word that it came by https."""
    came = b""
    with contextlib.suppress(anyio.BrokenResourceError, anyio.EndOfStream):
        while True:
            while b"\r\n\r\n" not in came:
                came += await client.receive()
            head, _, came = came.partition(b"\r\n\r\n")
            lengths = [line for line in head.lower().split(b"\r\n") if b"content-length" in line]
            length = int(lengths[0].partition(b":")[2]) if lengths else 0
            while len(came) < length:
                came += await client.receive()
            await service.send(head + b"\r\nX-Forwarded-Proto: https\r\n\r\n" + came[:length])
            came = came[length:]
    scope.cancel()


def behind_a_proxy(case: Case) -> None:
    """HTTPS_PROXY and SSL_CERT_FILE of the environment are all that leads to the service."""
    make_ca(case.folder)
    port = int(case.sandbox.base_url.rpartition(":")[2])
    breaker = Breaker(case.folder, port)
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(breaker.running()) as address,
    ):
        ca = str(case.folder / "cert.pem")
        ran = run(case.batch(f"https://{HOST}"), environment(HTTPS_PROXY=address, SSL_CERT_FILE=ca))
        ran.check(0)
        assert breaker.tunnels
        case.check_verified(run(case.verify(), environment()))
        without = run(case.batch(f"https://{HOST}"), environment(HTTPS_PROXY=address))
    assert "Traceback" not in without.err
    case.check_paid()


# Disks ---------------------------------------------------------------------------------------

SHORT_NAMES = """
import builtins, errno, io, os
def short(real):
    def call(*paths, **more):
        for path in paths[:2]:
            is_path = isinstance(path, (str, bytes, os.PathLike))
            if is_path and len(os.fsencode(os.path.basename(path))) > 143:
                raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), str(path))
        return real(*paths, **more)
    return call
for name in ("open", "link", "rename", "replace"):
    setattr(os, name, short(getattr(os, name)))
io.open = builtins.open = short(io.open)
"""
NO_LINKS = """
import errno, os
def link(*_, **__):
    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
os.link = link
"""
ON_TMPFS = """
mount -t tmpfs -o size="$1" none "$0" || exit 99
shift
exec "$@"
"""
FULL_THEN_NOT = """
mount -t tmpfs -o size="$1" none "$0" || exit 99
shift
"$@" >"$HERE/full.out" 2>"$HERE/full.err"
echo $? >"$HERE/full.code"
mount -o remount,size=40% "$0" || exit 98
exec "$@"
"""
THEN_READ_ONLY = """
mount -t tmpfs -o size="$1" none "$0" || exit 99
shift
"$@" >"$HERE/first.out" 2>"$HERE/first.err" || exit 97
mount -o remount,ro "$0" || exit 98
exec "$@"
"""


def alone(case: Case, script: str, size: str, command: list[str]) -> list[str]:
    """Let a script of `sh` run the command on a disk that goes away with it."""
    assert UNSHARE is not None
    case.songs.mkdir(exist_ok=True)
    namespaces = [UNSHARE, "--user", "--map-root-user", "--mount"]
    return [*namespaces, "sh", "-c", script, str(case.songs), size, *command]


def then(*commands: list[str]) -> list[str]:
    """One command after another, as long as they end well."""
    return ["sh", "-c", " && ".join(map(_quoted, commands))]


def _quoted(command: list[str]) -> str:
    return " ".join("'" + word.replace("'", "'\\''") + "'" for word in command)


def _on_tmpfs(case: Case, **env: str) -> None:
    """Everything is here, and the second run pays for nothing; then the disk is gone."""
    silent = [*case.batch(), "--quiet"]
    both = then(["sh", "-c", f"{_quoted(silent)} >{case.folder}/first"], silent, case.verify())
    ran = run(alone(case, ON_TMPFS, _ROOM, both), environment(**env))
    ran.check(0)
    assert ran.out.endswith(f"{2 * case.requests} songs ok, 0 not.\n"), ran.out
    case.check_paid()


def _patched(case: Case, code: str) -> str:
    place = case.folder / "patched"
    place.mkdir()
    (place / "sitecustomize.py").write_text(code)
    return str(place)


def with_short_names(case: Case) -> None:
    """A file system that takes names of 143 bytes."""
    _on_tmpfs(case, PYTHONPATH=_patched(case, SHORT_NAMES))


def without_links(case: Case) -> None:
    """A file system that knows no hard links."""
    _on_tmpfs(case, PYTHONPATH=_patched(case, NO_LINKS))


def in_ascii(case: Case) -> None:
    """A locale in which no accent can be written."""
    _on_tmpfs(case, LC_ALL="C", LANG="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")


def full_then_not(case: Case) -> None:
    """The disk fills up: that ends with 1 and says what to do; with room again, it goes on."""
    command = then([*case.batch(), "--quiet"], case.verify())
    size = f"{200 + case.requests * 50}k"  # about half of what all songs need
    ran = run(alone(case, FULL_THEN_NOT, size, command), environment(HERE=str(case.folder)))
    full = (case.folder / "full.err").read_text()
    assert (case.folder / "full.code").read_text() == "1\n", full
    assert "Traceback" not in full, full
    assert "No space left on device" in full, full
    assert "to continue:\n" in full or "to try again" in full, full
    ran.check(0)
    assert ran.out.endswith(f"{2 * case.requests} songs ok, 0 not.\n"), ran.out
    case.check_paid()


def read_only(case: Case) -> None:
    """What is there can be read; a batch is refused in one line, with 2, and pays for nothing."""
    ran = run(alone(case, THEN_READ_ONLY, _ROOM, case.batch()), environment(HERE=str(case.folder)))
    ran.check(2)
    assert ran.err.count("\n") == 1
    assert f"cannot write to {case.songs}: Read-only file system" in ran.err
    case.check_paid()


PLACES: tuple[Callable[[Case], None], ...] = (
    behind_a_proxy,
    with_short_names,
    without_links,
    in_ascii,
    full_then_not,
    read_only,
)


@contextlib.contextmanager
def case_of(folder: Path, requests: int) -> Iterator[Case]:
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(
            Sandbox(speed=SPEED, credits=1e6, api_key=KEY)
        ) as sandbox,
    ):
        yield Case(folder, sandbox, requests)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--only", choices=[place.__name__ for place in PLACES])
    given = parser.parse_args()
    for place in PLACES:
        if given.only in (None, place.__name__):
            with (
                tempfile.TemporaryDirectory() as folder,
                case_of(Path(folder), given.requests) as case,
            ):
                place(case)
            print(f"{place.__name__}: {given.requests} requests, all as it should be", flush=True)


if __name__ == "__main__":
    main()
