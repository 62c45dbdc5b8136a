"""The last line of a run that could not go on, and its exit code."""

import click

from .._errors import UdioError
from ._text import one_line


class BadInput(click.ClickException):
    """The input cannot be used, and nothing was sent. `problems` lists every reason."""

    exit_code = 2

    def __init__(self, headline: str, problems: tuple[str, ...] = ()) -> None:
        super().__init__(headline)
        self.problems = problems


def tell(error: click.ClickException | click.Abort | UdioError) -> int:
    """Write the error to stderr and return the exit code."""
    if isinstance(error, click.Abort):
        return 130
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        _write(error.format_message())
        return error.exit_code
    if isinstance(error, UdioError):
        _write(f"error: {one_line(error)}")
        return 1
    _write(f"error: {one_line(error.format_message())}")
    for line in _details(error):
        _write(f"  {line}")
    return error.exit_code


def _details(error: click.ClickException) -> tuple[str, ...]:
    if isinstance(error, BadInput):
        return error.problems
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return (f"see: {error.ctx.command_path} --help",)
    return ()


def _write(line: str) -> None:
    click.echo(line, err=True)
