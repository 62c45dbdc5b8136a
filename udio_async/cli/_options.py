"""Options that several commands share, and the values they stand for."""
# ruff: noqa: PLC0415 - what the commands do is imported when they run, so that `--help` is quick

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ._names import DEFAULT_SERVICE, FILE_WAIT, JOURNAL, NO_SANDBOX, SANDBOX, SERVICES
from ._numbers import COUNT, CREDITS, SECONDS, SPEED

if TYPE_CHECKING:
    from ._execute import View
    from ._service import Service
    from ._terms import Terms

Command = Callable[..., Any]


class _Place(click.Path):
    """A path. An empty one is a variable that is not set, and would mean the current directory."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:  # noqa: ANN401 - click's
        if not os.fspath(value):
            self.fail("is empty; give a path, or . for the current directory", param, ctx)
        if not self.file_okay and os.path.isfile(value):  # noqa: PTH113 - Path raises for a name that is too long
            self.fail(f"{os.fspath(value)!r} is a file; give a folder", param, ctx)
        if not self.dir_okay and os.path.isdir(value):  # noqa: PTH112 - as above
            self.fail(f"{os.fspath(value)!r} is a folder; give a file", param, ctx)
        return super().convert(value, param, ctx)


DIRECTORY = _Place(file_okay=False, path_type=Path)
_FILE = _Place(dir_okay=False, path_type=Path)


class _Text(click.types.StringParamType):
    """Text as it was typed, also where the locale is not UTF-8."""

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        from ._text import as_utf8

        return as_utf8(super().convert(value, param, ctx))


TEXT = _Text()

_address_options = (
    click.option("--base-url", metavar="URL", help="The service at another address."),
    click.option("--legacy", is_flag=True, help="udioapi-v1: its older generation, no callback."),
    click.option(
        "--speed",
        type=SPEED,
        metavar="N",
        help="For a sandbox: songs are made N times faster.",
    ),
    click.option(
        "--no-env",
        is_flag=True,
        help="Leave out HTTPS_PROXY, SSL_CERT_FILE and their like.",
    ),
)
service_options = (
    click.option(
        "--provider",
        "name",
        type=click.Choice(SERVICES),
        default=DEFAULT_SERVICE,
        show_default=True,
        help="Who makes the songs; sandbox needs no key and costs nothing.",
    ),
    *_address_options,
)
journal_service_options = (
    click.option(
        "--provider",
        "name",
        type=click.Choice(SERVICES),
        help="Who makes the songs.  [default: the one that the journal was made with]",
    ),
    *_address_options,
)
price_option = click.option(
    "--price",
    type=CREDITS,
    metavar="X",
    help="What one request costs in credits, as no provider states it.",
)
limit_options = (
    click.option(
        "--max-submits", type=COUNT, metavar="N", help="Submit at most N requests in this run."
    ),
    click.option(
        "--max-credits",
        type=CREDITS,
        metavar="X",
        help="Spend at most X credits in this run; needs --price.",
    ),
    price_option,
)
many_options = (
    click.option(
        "--max-active",
        type=COUNT,
        metavar="N",
        help="Requests in the making at once.  [default: as many as the service takes]",
    ),
    *limit_options,
    click.option(
        "--on-doubt",
        type=click.Choice(["hold", "resubmit"]),
        default="hold",
        show_default=True,
        help=(
            "What an earlier run left in doubt: hold leaves it to you; resubmit sends it "
            "again, and may pay twice."
        ),
    ),
)
lost_options = (
    click.option(
        "--rest",
        is_flag=True,
        help="If the journal was lost, or keys have changed: submit only requests of which nothing "
        "in DIR tells, and fetch songs whose files are gone.",
    ),
    click.option(
        "--again",
        is_flag=True,
        help="If the journal was lost, or keys have changed: submit all that it does not know, and "
        "pay again.",
    ),
)
tags_option = click.option(
    "--tags",
    is_flag=True,
    help="Write title, lyrics, style and cover into the files that are fetched.",
)
file_wait_option = click.option(
    "--file-wait",
    type=SECONDS,
    default=FILE_WAIT,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for a file that is not served yet, from when its song is complete.",
)
journal_option = click.option(
    "--journal",
    type=_FILE,
    metavar="PATH",
    help=f"The journal, where it is not DIR/{JOURNAL}.",
)


new_journal_options = (
    click.option(
        "--journal",
        type=_FILE,
        metavar="PATH",
        help=f"Remember here.  [default: DIR/{JOURNAL}; none for the sandbox, which forgets]",
    ),
    click.option(
        "--no-journal", is_flag=True, help="Remember nothing: what breaks off cannot be continued."
    ),
)


def _unless_on_a_terminal(
    _context: click.Context,
    _option: click.Parameter,
    wanted: bool | None,
) -> bool:
    return not sys.stdout.isatty() if wanted is None else wanted


json_option = click.option(
    "--json/--text",
    "as_json",
    default=None,
    callback=_unless_on_a_terminal,
    help="What stdout gets.  [default: text on a terminal, else JSON]",
)
encoding_option = click.option(
    "--encoding",
    metavar="NAME",
    help="How the file is written, such as cp1252.  [default: UTF-8, or as its mark says]",
)
backend_option = click.option(
    "--backend", type=click.Choice(["asyncio", "trio"]), default="asyncio", hidden=True
)
view_options = (
    json_option,
    click.option("--quiet", is_flag=True, help="Only errors on stderr."),
    click.option("--no-progress", is_flag=True, help="No progress on stderr."),
    backend_option,
)


def with_options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Add options to a command; the help lists them in this order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def take_service(options: dict[str, Any], journal: Path | None = None) -> "Service":
    """Take the options of the service out of a command's options.

    A command about a journal may leave the provider to it.
    """
    from ._service import Service

    earlier = journal if journal is not None and journal.is_file() else None
    if options["name"] is None:
        options["name"] = _maker(earlier)
    names = ("name", "base_url", "legacy", "speed")
    return Service(
        price=options.pop("price", None),
        trust_env=not options.pop("no_env"),
        earlier=earlier,
        **{name: options.pop(name) for name in names},
    )


def _maker(journal: Path | None) -> str:
    from ._clients import maker_of
    from ._question import ask

    made_with = None if journal is None else ask(partial(maker_of, journal), backend="asyncio")
    return made_with if made_with in SERVICES else DEFAULT_SERVICE


def take_view(options: dict[str, Any]) -> "View":
    """Take the options of the output out of a command's options."""
    from ._execute import View

    names = ("quiet", "no_progress", "backend")
    return View(json=options.pop("as_json"), **{name: options.pop(name) for name in names})


def take_terms(options: dict[str, Any], journal: Path | None) -> "Terms":
    """Take the limits of a run out of a command's options."""
    from ._terms import Terms

    names = (
        *("max_active", "max_submits", "max_credits", "on_doubt"),
        *("tags", "file_wait", "yes"),
    )
    given = {name: options.pop(name) for name in names if name in options}
    rest, again = options.pop("rest", False), options.pop("again", False)
    if rest and again:
        raise click.UsageError("--rest and --again exclude one another")
    if rest or again:
        given["lost"] = "rest" if rest else "again"
    return Terms(journal=journal, **given)


def journal_of_run(
    out: Path | None, journal: Path | None, *, no_journal: bool, provider: str
) -> Path | None:
    """Return the path of a run's journal, or None if it keeps none.

    Raises:
        click.UsageError: both a journal and none are asked for, or one for a sandbox that forgets.
        BadInput: something else is there.
    """
    from ._journal_file import check_journal

    if no_journal and journal is not None:
        raise click.UsageError("--journal and --no-journal exclude one another")
    if journal is not None and provider == SANDBOX:
        raise click.UsageError(f"--journal {NO_SANDBOX}")
    if no_journal or (journal is None and (out is None or provider == SANDBOX)):
        return None
    path = journal or Path(out or ".", JOURNAL)
    check_journal(path)
    return path


def journal_that_exists(directory: Path, journal: Path | None) -> Path:
    """Return the path of an earlier run's journal.

    Raises:
        BadInput: there is none, or something else is there.
    """
    from ._failures import BadInput
    from ._journal_file import check_journal

    path = journal or directory / JOURNAL
    check_journal(path)
    if not path.is_file():
        raise BadInput(f"there is no journal at {path}; give the DIR that a batch had as --out")
    return path
