"""TLS on loopback: certificates as a test wants them, and a server that shows one."""

import ssl
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.tls import TLSAttribute, TLSStream

_CA = """
[ca]
default_ca = own
[own]
database = index.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
copy_extensions = copy
x509_extensions = root
[any]
commonName = supplied
[root]
basicConstraints = critical, CA:TRUE
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


def make_certificate(folder: Path, *names: str, expired: bool = False) -> Path:
    """Fill the folder with `cert.pem` for names such as "IP:127.0.0.1", and its `key.pem`.

    It has signed itself: only who trusts this very certificate believes it.
    """
    (folder / "ca.cnf").write_text(_CA)
    (folder / "index.txt").touch()
    key = "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=songs"
    _openssl(
        folder, f"{key} -keyout key.pem -out wish.pem -addext subjectAltName={','.join(names)}"
    )
    time = "-startdate 20200101000000Z -enddate 20200102000000Z" if expired else "-days 2"
    files = "-keyfile key.pem -in wish.pem -out cert.pem"
    _openssl(folder, f"ca -batch -selfsign -config ca.cnf -notext {time} {files}")
    return folder


def _openssl(folder: Path, words: str) -> None:
    subprocess.run(["openssl", *words.split()], cwd=folder, check=True, capture_output=True)


class SecureServer:
    """Answers over TLS; remembers what came in, and which connections went on from earlier ones.

    With `behind`, more follows each answer, in a record of its own that travels with it. With
    `hangs_up` what travels with it is the word that this was the last one; the connection stays
    open until the other side closes it, as with servers of asyncio.
    """

    def __init__(
        self,
        folder: Path,
        answer: bytes,
        *,
        version: ssl.TLSVersion | None = None,
        behind: bytes = b"",
        hangs_up: bool = False,
    ) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        if version is not None:
            self._context.maximum_version = version
        self._answer = answer
        self._behind = behind
        self._hangs_up = hangs_up
        self.port = 0
        self.requests: list[bytes] = []
        self.resumed: list[bool | None] = []

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[str]:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, self._attend)
            self.port = listener.extra(SocketAttribute.local_port)
            yield f"https://127.0.0.1:{self.port}"
            tasks.cancel_scope.cancel()

    async def _attend(self, stream: SocketStream) -> None:
        async with stream:
            try:
                secure = await TLSStream.wrap(
                    stream, server_side=True, ssl_context=self._context, standard_compatible=False
                )
                tls = secure.extra(TLSAttribute.ssl_object)
                self.resumed.append(tls.session_reused)
                while True:
                    self.requests.append(await secure.receive())
                    tls.write(self._answer)  # it leaves with what comes next
                    if self._hangs_up:
                        await secure.unwrap()
                    await secure.send(self._behind)
            except (anyio.EndOfStream, anyio.BrokenResourceError, ssl.SSLError):
                return
