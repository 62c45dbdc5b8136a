"""A certificate for this machine, that every client of a benchmark believes."""

import contextlib
import os
import ssl
import subprocess
import tempfile
from collections.abc import Generator
from pathlib import Path

HOST = "127.0.0.1"


@contextlib.contextmanager
def certified() -> Generator[Path]:
    """Make a certificate, and have the clients of this process and its children believe it.

    Yields the folder that a server takes it from.
    """
    with tempfile.TemporaryDirectory() as place, _restored("SSL_CERT_FILE"):
        folder = Path(place)
        wanted = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        names = ["-subj", "/CN=benchmark", "-addext", f"subjectAltName=IP:{HOST}"]
        files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
        subprocess.run(["openssl", *wanted, *names, *files], check=True, capture_output=True)
        os.environ["SSL_CERT_FILE"] = str(folder / "cert.pem")
        yield folder


@contextlib.contextmanager
def _restored(name: str) -> Generator[None]:
    """Put a variable of the environment back as it was."""
    before = os.environ.get(name)
    try:
        yield
    finally:
        os.environ.pop(name, None)
        if before is not None:
            os.environ[name] = before


def server_context(folder: Path) -> ssl.SSLContext:
    """Return what a server speaks TLS with."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context
