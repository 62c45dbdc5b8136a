"""Errors on stderr: one line each, and the exit code."""

import click

from .. import UdioError
from ._remedies import explain
from ._streams import StdoutLost, tell_lost
from ._text import as_utf8, one_line


class BadInput(click.ClickException):
    """The input cannot be used, and nothing was sent.

    `problems` lists every reason, and is printed below the headline. The exit code is 2.
    """

    exit_code = 2

    def __init__(self, headline: str, problems: tuple[str, ...] = ()) -> None:
        super().__init__(headline)
        self.problems = problems


def tell(error: click.ClickException | click.Abort | UdioError | OSError) -> int:
    """Write the error to stderr and return the exit code."""
    if isinstance(error, StdoutLost):
        return tell_lost(error, say)
    if isinstance(error, click.Abort):
        return 130
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        say(error.format_message())
        return error.exit_code
    if isinstance(error, UdioError):
        say(f"error: {one_line(explain(error))}")
        return 1
    if isinstance(error, OSError):
        say(f"error: {one_line(reason_of(error))}")
        return 1
    say(f"error: {one_line(error.format_message())}")
    for line in _details(error):
        say(f"  {line}")
    return error.exit_code


def warn(line: str) -> None:
    """Write a line about something that is wrong and stops nothing."""
    say(f"warning: {one_line(line)}")


def reason_of(error: Exception) -> str:
    """Return what went wrong, for a shell; with the file, if there is one."""
    if isinstance(error, UdioError):
        return explain(error)
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror


def _details(error: click.ClickException) -> tuple[str, ...]:
    if isinstance(error, BadInput):
        return error.problems
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return (f"see: {error.ctx.command_path} --help",)
    return ()


def say(line: str) -> None:
    """Write a line to stderr."""
    click.echo(as_utf8(line), err=True)
