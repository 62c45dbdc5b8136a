"""The sandbox as a server in the foreground."""

import os

import click

from ._hints import program
from ._service import load_sandbox
from ._text import as_typed

_COPY = """\
Sandbox at {url}, {speed} times as fast as a real service. Ctrl-C ends it.

To use it from another terminal:
  export UDIOAPI_API_KEY=sandbox APIFRAME_API_KEY=sandbox
  {program} generate "A song about rain" --out songs \\
      --provider udioapi-v2 --base-url {url} --speed {speed}
  {program} batch requests.jsonl --out songs \\
      --provider udioapi-v2 --base-url {url} --speed {speed}

What was charged: {url}/_sandbox/ledger
"""


def serve(*, host: str, port: int, speed: float) -> None:
    """Serve until a signal comes.

    Raises:
        click.UsageError: it cannot listen there.
    """
    sandbox = load_sandbox()(host=host, port=port, speed=speed)
    try:
        sandbox.run(
            lambda url: click.echo(_COPY.format(url=url, speed=as_typed(speed), program=program()))
        )
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise click.UsageError(f"cannot listen on {host}:{port}: {reason}") from error
