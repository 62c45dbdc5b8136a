"""The commands. What they do is imported late, so `--help` is quick."""
# ruff: noqa: ANN401, PLC0415 - click checks the options; for the imports see above

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import click

from .. import _interrupt
from ._journal_commands import JOURNAL_COMMANDS
from ._names import DEMO_SPEED, SANDBOX_CREDITS, SANDBOX_PORT, SANDBOX_SPEED
from ._numbers import COUNT, CREDITS, PORT, SPEED, WHOLE
from ._options import (
    DIRECTORY,
    TEXT,
    backend_option,
    encoding_option,
    file_wait_option,
    journal_of_run,
    journal_option,
    journal_service_options,
    journal_that_exists,
    json_option,
    limit_options,
    lost_options,
    many_options,
    new_journal_options,
    service_options,
    tags_option,
    take_service,
    take_terms,
    take_view,
    view_options,
    with_options,
)


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from .. import __version__

        click.echo(f"udio-async {__version__}")
        context.exit()


class _Shell(click.Group):
    """A group that ends quietly on Ctrl-C, at any moment.

    click alone does not look into groups of exceptions.
    """

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, BaseExceptionGroup) as error:
            if isinstance(error, BaseExceptionGroup) and not error.subgroup(KeyboardInterrupt):
                raise
            _interrupt.tell()
            raise click.Abort from None


class _WithFaults(click.Command):
    """A command that lists the sandbox's faults below its help."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        from ._serve import write_faults

        write_faults(formatter)


@click.group(
    cls=_Shell, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 88}
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Show the version and exit.",
)
def cli() -> None:
    """Generate songs by API, many at once, without paying twice.

    Keys come from the environment: UDIOAPI_API_KEY, APIFRAME_API_KEY. Results go to stdout,
    progress and errors to stderr.

    Where stdout is not a terminal, as in a pipe, it gets JSON, an object on each line, and nothing
    else; on a terminal it gets text for people. --json and --text choose one of them, for any
    command that lists something.

    Exit codes: 0 all good, 1 something failed, 2 wrong usage or input, 130 interrupted by Ctrl-C
    or by your answer no, 143 by SIGTERM, 129 by a terminal that went away, 141 nobody reads
    stdout any more.
    """


def _name_text(_: click.Context, __: click.Parameter, given: str | None) -> None:
    if given is not None:
        raise click.UsageError('the description is the argument TEXT: generate "rain"')


@cli.command()
@click.argument("description", type=TEXT, metavar="[TEXT]", required=False)
@click.option("--description", "misplaced", hidden=True, expose_value=False, callback=_name_text)
@click.option("--out", type=DIRECTORY, metavar="DIR", help="Save the songs here.")
@with_options(*new_journal_options)
@click.option(
    "--key",
    type=TEXT,
    metavar="NAME",
    help="Your own name for the request: the same one again goes on with it, and pays once.",
)
@click.option("--lyrics", type=click.File("rb"), metavar="FILE|-", help="The words to sing.")
@encoding_option
@click.option(
    "--style", type=TEXT, metavar="TEXT", help='Genre, mood, tempo: "pop, upbeat, 120 bpm".'
)
@click.option("--title", type=TEXT, metavar="TEXT", help="The song's name.")
@click.option("--negative-tags", type=TEXT, metavar="TEXT", help='What to avoid: "sad, slow".')
@click.option("--instrumental", is_flag=True, help="Without singing.")
@click.option("--model", help="As the provider spells it.")
@click.option(
    "--vocal-gender",
    "--gender",
    "vocal_gender",
    type=click.Choice(["male", "female"]),
    help="Who sings.",
)
@click.option("--style-weight", metavar="0..1", help="How strictly to keep to the style.")
@click.option("--weirdness-constraint", metavar="0..1", help="How far to stray.")
@click.option("--audio-weight", metavar="0..1", help="Balance of the audio features.")
@click.option("--callback-url", metavar="URL", help="The provider posts results there as well.")
@click.option(
    "--option",
    "pairs",
    multiple=True,
    type=TEXT,
    metavar="NAME=VALUE",
    help="What only this provider knows, such as clarity_strength=0.5; may be repeated.",
)
@with_options(*lost_options, file_wait_option, *limit_options, *service_options, *view_options)
def generate(
    *,
    out: Path | None,
    journal: Path | None,
    no_journal: bool,
    lyrics: BinaryIO | None,
    encoding: str | None,
    pairs: tuple[str, ...],
    **options: Any,
) -> int:
    """Make the songs of one request. TEXT says what they are about.

    Each run makes new songs, of the same words too, unless they have a --key. What breaks off is
    remembered in DIR, and `resume` takes it up.
    """
    from ._hints import current_hints
    from ._input import read_text
    from ._named import read_named
    from ._one import make_one

    path = journal_of_run(out, journal, no_journal=no_journal, provider=options["name"])
    service, view = take_service(options, path), take_view(options)
    terms = take_terms(options, path)
    if options["key"] is not None and path is None:
        raise click.UsageError("--key needs a journal; give --out or --journal as well")
    if terms.lost != "ask" and options["key"] is None:
        raise click.UsageError("--rest and --again go with --key; without one each song is new")
    if encoding is not None and lyrics is None:
        raise click.UsageError("--encoding goes with --lyrics only")
    if options["description"] is None and lyrics is None:  # told before a missing key is
        raise click.UsageError('say what the song is about: generate "rain", or give --lyrics')
    words = None if lyrics is None else read_text(lyrics, lyrics.name, encoding)
    flags = {name: options.pop(name) for name in _FLAGS}
    named = read_named(pairs, flags, service.provider())
    values = {**options, "lyrics": words, "options": named or None}
    return make_one(values, service, out, view, terms, hints=current_hints() if path else None)


_FLAGS = ("style_weight", "weirdness_constraint", "audio_weight", "callback_url")
"""Options of providers that have a flag of their own."""


@cli.command()
@click.argument("file", type=click.File("rb"), metavar="FILE|-")
@click.option("--out", type=DIRECTORY, metavar="DIR", required=True, help="Save the songs here.")
@with_options(*new_journal_options)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["jsonl", "json", "csv", "tsv", "text", "xlsx"]),
    help="What FILE holds.  [default: by its ending, or by what is in it]",
)
@encoding_option
@with_options(*lost_options)
@click.option("--yes", "-y", is_flag=True, help="Do not ask before spending.")
@with_options(tags_option, file_wait_option, *many_options, *service_options, *view_options)
def batch(
    *,
    file: BinaryIO,
    out: Path,
    journal: Path | None,
    no_journal: bool,
    kind: Any,
    encoding: str | None,
    **options: Any,
) -> int:
    r"""Make the songs of many requests: ideas as text, a CSV, a workbook (.xlsx), or JSON.

    Names: description, lyrics, style, title, negative_tags, instrumental, model, vocal_gender,
    options (an object, different for each provider), extra (raw fields), key (your own name for
    the request). A table has them in its first line, beside columns of your own; a text file is
    one description per line; JSON is an object per line, or an array. Lines that begin with # are
    comments and skipped; \# begins a line with #.

    Nothing is sent unless every line is good. It shows the first requests as it understood them,
    says what it will submit and, on a terminal, asks; not for a service on this machine.

    DIR gets the songs and covers, songs.jsonl with a line for each, and index.html to see and
    hear them. No file of yours is replaced: beside an index.html that is not ours the page is
    index-songs.html.

    The same command run again continues: songs that are done are not asked for again, and files
    that are there are not fetched again. Requests from stdin or a pipe are kept in the journal,
    and `resume` continues them.
    """
    from ._hints import hints_for_batch
    from ._many import make_many

    from_stdin = file is sys.stdin.buffer
    only_once = from_stdin or not Path(file.name).is_file()  # a pipe: `<(...)`
    path = journal_of_run(out, journal, no_journal=no_journal, provider=options["name"])
    service, view = take_service(options, path), take_view(options)
    return make_many(
        file,
        "stdin" if from_stdin else file.name,
        service,
        out,
        view,
        take_terms(options, path),
        kind=kind,
        encoding=encoding,
        hints=hints_for_batch(out, only_once=only_once) if path else None,
        keep=only_once,
    )


@cli.command()
@click.argument("directory", type=DIRECTORY, metavar="DIR")
@journal_option
@click.option("--only-paid", is_flag=True, help="Only fetch what is paid for; submit nothing.")
@with_options(tags_option, file_wait_option, *many_options, *journal_service_options, *view_options)
def resume(*, directory: Path, journal: Path | None, only_paid: bool, **options: Any) -> int:
    """Continue whatever the journal in DIR holds unfinished; the songs are saved in DIR.

    Accepted requests are looked at, refused ones are submitted and paid for. Songs without their
    file are fetched again, and those of a batch without their line in songs.jsonl are written
    there. Requests of a file that were never submitted are not in the journal: for them run the
    batch again.
    """
    from ._hints import hints_for_journal
    from ._resume import resume_all

    path = journal_that_exists(directory, journal)
    service, view = take_service(options, path), take_view(options)
    terms = take_terms(options, path)
    hints = hints_for_journal(directory)
    return resume_all(service, directory, view, terms, hints=hints, only_paid=only_paid)


@cli.command()
@click.argument("directory", type=DIRECTORY, metavar="DIR")
def gallery(*, directory: Path) -> None:
    """Write DIR/index.html: the songs of a batch to look at, to search and to play.

    An index.html that is not ours is left alone; then it is DIR/index-songs.html.
    """
    from ._gallery import GALLERY, write_gallery
    from ._page import show_written

    show_written(write_gallery, directory, GALLERY)


@cli.command()
@click.argument("directory", type=DIRECTORY, metavar="DIR")
def report(*, directory: Path) -> None:
    """Write DIR/report.html: where the time went, song by song.

    A report.html that is not ours is left alone; then it is DIR/report-songs.html.
    """
    from ._page import show_written
    from ._report import REPORT, write_report

    show_written(write_report, directory, REPORT)


@cli.command()
@click.argument("directory", type=DIRECTORY, metavar="DIR")
@json_option
def verify(*, directory: Path, as_json: bool) -> int:
    """Compare the songs in DIR with what was saved: size and SHA-256.

    A link counts as the song if it leads to the same bytes; else the song was moved. Lines of
    songs.jsonl that are damaged are counted on stderr, and left out. Exit code 1 when a song is
    missing, changed, moved or unreadable.
    """
    from ._verify import show_verified

    return show_verified(directory, as_json=as_json)


@cli.command()
@with_options(*service_options, json_option, backend_option)
def credits(*, as_json: bool, backend: str, **options: Any) -> None:  # noqa: A001 - the command's name
    """Show what the account has left."""
    from ._credits import show_credits

    show_credits(take_service(options), as_json=as_json, backend=backend)


@cli.command()
@click.option("--out", type=DIRECTORY, metavar="DIR", default=Path("udio-demo"), show_default=True)
@click.option("--speed", type=SPEED, default=DEMO_SPEED, show_default=True, metavar="N")
@with_options(*view_options)
def demo(*, out: Path, speed: float, **options: Any) -> int:
    """Make a dozen requests' songs on all three services: no key, no network, no money."""
    from ._demo import run_demo

    return run_demo(out=out, speed=speed, view=take_view(options))


@cli.command(cls=_WithFaults)
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS")
@click.option(
    "--port",
    type=PORT,
    default=SANDBOX_PORT,
    show_default=True,
    metavar="N",
    help="0 takes a free one.",
)
@click.option(
    "--speed",
    type=SPEED,
    default=SANDBOX_SPEED,
    show_default=True,
    metavar="N",
    help="How much faster than a real service songs are made.",
)
@click.option(
    "--credits",
    type=CREDITS,
    default=SANDBOX_CREDITS,
    show_default=True,
    metavar="N",
    help="What the account holds; a request costs 10 at udioapi, 9 at apiframe.",
)
@click.option(
    "--at-once",
    type=COUNT,
    metavar="N",
    help="Requests that may be in the making at once; one more is a 429.  [default: no limit]",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="FAULT[@N]",
    help="Let one request in N (each, without @N) go wrong like this. May be given again.",
)
@click.option(
    "--seed",
    type=WHOLE,
    default=0,
    show_default=True,
    metavar="N",
    help="The same requests take the same time again.",
)
def sandbox(*, host: str, port: int, faults: Sequence[str], **settings: Any) -> None:
    """Serve the three services on this machine until Ctrl-C, which is exit code 0."""
    from ._serve import serve

    serve(host=host, port=port, faults=faults, **settings)


for command in JOURNAL_COMMANDS:
    cli.add_command(command)


def run(argv: Sequence[str] | None) -> int:
    """Run a command and return its exit code; what goes wrong is one line on stderr."""
    from .. import UdioError
    from ._failures import tell
    from ._hints import program

    words = list(sys.argv[1:] if argv is None else argv)
    try:
        code = cli.main(args=argv, prog_name=program(), standalone_mode=False, obj=words)
        sys.stdout.flush()
    except (click.ClickException, click.Abort, UdioError, OSError) as error:
        return tell(error)
    return code if isinstance(code, int) else 0
