"""The commands and their options. What they do is imported when they run, so `--help` is quick."""
# ruff: noqa: ANN401, PLC0415 - click checks the options; for the imports see above

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from ._names import (
    DEFAULT_SERVICE,
    DEMO_SPEED,
    MAX_ACTIVE,
    SANDBOX_PORT,
    SANDBOX_SPEED,
    SERVICES,
)

if TYPE_CHECKING:
    from ._run import View
    from ._service import Service

Command = Callable[..., Any]

_OUT = click.Path(file_okay=False, path_type=Path)
_SPEED = click.FloatRange(min=0, min_open=True)

_service_options = (
    click.option(
        "--provider",
        "name",
        type=click.Choice(SERVICES),
        default=DEFAULT_SERVICE,
        show_default=True,
        help="Who makes the songs; sandbox needs no key and costs nothing.",
    ),
    click.option("--base-url", metavar="URL", help="The service at another address."),
    click.option("--legacy", is_flag=True, help="udioapi-v1: its older generation, no callback."),
    click.option(
        "--speed",
        type=_SPEED,
        metavar="N",
        help="For a sandbox: songs are made N times faster.",
    ),
)
_json_option = click.option("--json", "as_json", is_flag=True, help="JSON also on a terminal.")
_backend_option = click.option(
    "--backend", type=click.Choice(["asyncio", "trio"]), default="asyncio", hidden=True
)
_view_options = (
    _json_option,
    click.option("--quiet", is_flag=True, help="Only errors on stderr."),
    click.option("--no-progress", is_flag=True, help="No progress on stderr."),
    _backend_option,
)


def _with(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Apply options so that the help lists them in this order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _service(options: dict[str, Any]) -> "Service":
    """Take the options of the service out of a command's options."""
    from ._service import Service

    return Service(**{name: options.pop(name) for name in ("name", "base_url", "legacy", "speed")})


def _view(options: dict[str, Any]) -> "View":
    """Take the options of the output out of a command's options."""
    from ._run import View

    names = ("quiet", "no_progress", "backend")
    return View(json=options.pop("as_json"), **{name: options.pop(name) for name in names})


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 88})
def cli() -> None:
    """Generate songs by API, many at once, without paying twice.

    Keys come from the environment: UDIOAPI_API_KEY, APIFRAME_API_KEY. Songs go to stdout as JSON
    lines, progress to stderr.

    Exit codes: 0 all good, 1 something failed, 2 wrong usage or input, 130 interrupted.
    """


@cli.command()
@click.argument("description", metavar="[TEXT]", required=False)
@click.option("--out", type=_OUT, metavar="DIR", help="Save the songs here.")
@click.option("--lyrics", type=click.File("rb"), metavar="FILE|-", help="The words to sing.")
@click.option("--style", help='Genre, mood, tempo: "pop, upbeat, 120 bpm".')
@click.option("--title", help="The song's name.")
@click.option("--negative-tags", metavar="TEXT", help='What to avoid: "sad, slow".')
@click.option("--instrumental", is_flag=True, help="Without singing.")
@click.option("--model", help="As the provider spells it.")
@click.option("--gender", "vocal_gender", type=click.Choice(["male", "female"]), help="Who sings.")
@_with(*_service_options, *_view_options)
def generate(*, out: Path | None, lyrics: BinaryIO | None, **options: Any) -> int:
    """Make the songs of one request. TEXT says what they are about."""
    from ._input import read_text
    from ._make import make_one

    service, view = _service(options), _view(options)
    words = None if lyrics is None else read_text(lyrics, lyrics.name)
    return make_one({**options, "lyrics": words}, service, out, view)


@cli.command()
@click.argument("file", type=click.File("rb"), metavar="FILE|-")
@click.option("--out", type=_OUT, metavar="DIR", required=True, help="Save the songs here.")
@click.option(
    "--max-active",
    type=click.IntRange(min=1),
    default=MAX_ACTIVE,
    show_default=True,
    metavar="N",
    help="Requests in the making at once.",
)
@_with(*_service_options, *_view_options)
def batch(*, file: BinaryIO, out: Path, max_active: int, **options: Any) -> int:
    """Make the songs of many requests, one JSON object per line.

    Names: description, lyrics, style, title, negative_tags, instrumental, model, vocal_gender,
    options (an object, different for each provider), extra (raw fields).

    Nothing is sent unless every line is good.
    """
    from ._make import make_many

    service, view = _service(options), _view(options)
    name = "stdin" if file is sys.stdin.buffer else file.name
    return make_many(file, name, service, out, view, max_active=max_active)


@cli.command()
@_with(*_service_options, _json_option, _backend_option)
def credits(*, as_json: bool, backend: str, **options: Any) -> None:  # noqa: A001 - the command's name
    """Show what the account has left."""
    from ._credits import show_credits

    show_credits(_service(options), as_json=as_json, backend=backend)


@cli.command()
@click.option("--out", type=_OUT, metavar="DIR", default=Path("udio-demo"), show_default=True)
@click.option("--speed", type=_SPEED, default=DEMO_SPEED, show_default=True, metavar="N")
@_with(*_view_options)
def demo(*, out: Path, speed: float, **options: Any) -> int:
    """Make a dozen requests' songs on all three services: no key, no network, no money."""
    from ._demo import run_demo
    from ._make import prepare_directory

    prepare_directory(out)
    return run_demo(out=out, speed=speed, view=_view(options))


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=SANDBOX_PORT,
    show_default=True,
    metavar="N",
    help="0 takes a free one.",
)
@click.option(
    "--speed",
    type=_SPEED,
    default=SANDBOX_SPEED,
    show_default=True,
    metavar="N",
    help="How much faster than a real service songs are made.",
)
def sandbox(*, host: str, port: int, speed: float) -> None:
    """Serve the three services on this machine until Ctrl-C."""
    from ._serve import serve

    serve(host=host, port=port, speed=speed)


def run(argv: Sequence[str] | None) -> int:
    """Run a command and return its exit code; what goes wrong is one line on stderr."""
    from .._errors import UdioError
    from ._failures import tell

    try:
        code = cli.main(args=argv, prog_name="udio-async", standalone_mode=False)
    except (click.ClickException, click.Abort, UdioError) as error:
        return tell(error)
    return code if isinstance(code, int) else 0
