"""The sandbox as a server in the foreground."""

import os
import re
from collections.abc import Sequence
from errno import errorcode
from typing import TYPE_CHECKING, Any

import click

from .. import InvalidRequest
from ._hints import program
from ._service import load_sandbox
from ._text import as_typed

if TYPE_CHECKING:
    from ..sandbox import Fault

_EVERY = re.compile(r"@(\d{1,9})$", re.ASCII)
"""Behind a fault: it hits one request in so many."""

_COPY = """\
Sandbox at {url}, {speed} times as fast as a real service. Ctrl-C ends it.

To use it from another terminal:
  export UDIOAPI_API_KEY=sandbox APIFRAME_API_KEY=sandbox
  {program} generate "A song about rain" --out songs \\
      --provider udioapi-v2 --base-url {url}
  {program} batch requests.jsonl --out songs \\
      --provider udioapi-v2 --base-url {url}

What was charged: {url}/_sandbox/ledger
"""


def serve(*, host: str, port: int, faults: Sequence[str], **settings: Any) -> None:  # noqa: ANN401 - those of `Sandbox`
    """Serve the sandbox until a signal comes.

    Raises:
        click.UsageError: it cannot listen there, or there is no such fault.
    """
    make = load_sandbox()
    given = [_as_fault(text) for text in faults]
    try:
        sandbox = make(host=host, port=port, faults=given, **settings)
        sandbox.run(
            lambda url: click.echo(
                _COPY.format(url=url, speed=as_typed(sandbox.speed), program=program())
            )
        )
    except InvalidRequest as error:
        raise click.UsageError(f"--{error}") from error
    except (OSError, UnicodeError) as error:
        number = error.errno if isinstance(error, OSError) else None
        if number is None or number not in errorcode:
            raise click.UsageError(
                f"--host is {host!r}, which is unknown; give an address of this machine: 127.0.0.1"
            ) from error
        raise click.UsageError(f"cannot listen on {host}:{port}: {os.strerror(number)}") from error


def write_faults(formatter: click.HelpFormatter) -> None:
    """Write the list of all faults into the help.

    Without the extra `sandbox` it is the command that installs it.
    """
    try:
        load_sandbox()
    except click.UsageError as error:
        formatter.write_paragraph()
        formatter.write_text(f"For the list of faults, {error.message}")
        return
    from ..sandbox import FAULT_GROUPS  # noqa: PLC0415 - it needs the extra too

    for group in FAULT_GROUPS:
        with formatter.section(f"Faults ({group.title[0].lower()}{group.title[1:]})"):
            formatter.write_dl(
                [(kind.written, kind.sentence.replace("`", "")) for kind in group.kinds],
                col_max=20,
            )


def _as_fault(text: str) -> "Fault":
    from ..sandbox import Fault  # noqa: PLC0415 - it needs the extra

    every = _EVERY.search(text)
    try:
        if every is None:
            return Fault(text)
        return Fault(text[: every.start()], every=int(every[1]))
    except ValueError as error:
        raise click.UsageError(f"--fault {text}: {error}") from error
