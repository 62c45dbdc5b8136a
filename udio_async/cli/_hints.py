"""Commands for the user to copy: they have to work as they stand."""

import shlex
import shutil
import sys
from pathlib import Path
from typing import TypeGuard

import attrs
import click
from click.core import ParameterSource

from .. import SubmitInDoubt, UdioError
from ._text import as_typed

_NAME = "udio-async"
_SAME_JOURNAL = frozenset({"journal", "name", "base_url", "legacy", "speed", "no_env"})
"""The options without which another command would not find the journal or the account."""
_SAME_TERMS = frozenset(
    {"max_active", "max_submits", "max_credits", "price", "on_doubt", "file_wait"}
)
_ONLY_PAID = "--only-paid"


def program() -> str:
    """Return what starts this program again from a shell."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return shlex.join([sys.executable, "-m", "udio_async.cli"])
    found = shutil.which(_NAME)
    if found is None:
        return shlex.quote(sys.argv[0])
    another = called.stem == _NAME and called.exists() and not called.samefile(found)
    return shlex.quote(sys.argv[0]) if another else _NAME


@attrs.frozen(kw_only=True)
class Hints:
    """The commands about one journal."""

    again: str
    """Continues the run."""
    same: str
    """Starts it anew: for `generate` that is a new song, so it is shown where nothing was taken."""
    directory: Path
    options: tuple[str, ...]
    """What leads to the same journal."""

    @property
    def jobs(self) -> str:
        """The command that lists all jobs."""
        return self._about("jobs")

    @property
    def doubts(self) -> str:
        """The command that lists the requests in doubt."""
        return self._about("doubts")

    @property
    def resume(self) -> str:
        """The command that continues whatever is unfinished."""
        return self._about("resume")

    @property
    def resume_paid(self) -> str:
        """The command that continues what is paid for, and submits nothing."""
        return _line("resume", _as_argument(self.directory), _ONLY_PAID, *self.options)

    @property
    def rekey(self) -> str:
        """The command that gives the journal to another key of its account."""
        return self._about("rekey")

    def resolve(self, key: str, *answer: str) -> str:
        """Return the command that ends a doubt, once an answer is added."""
        return _line("resolve", _as_argument(self.directory), key, *self.options, *answer)

    def _about(self, command: str) -> str:
        return _line(command, _as_argument(self.directory), *self.options)


def gallery_of(directory: Path) -> str:
    """Return the command that makes the gallery of a folder."""
    return _line("gallery", _as_argument(directory))


def hints_for_batch(out: Path, *, only_once: bool) -> Hints:
    """Return the hints of the running batch; the same command continues it.

    With `only_once` its requests cannot be read again: then `resume` continues it.
    """
    context = click.get_current_context()
    again = _typed(context)
    if only_once:  # its requests will not come a second time
        options = _given(context, _SAME_JOURNAL | _SAME_TERMS)
        again = _line("resume", _as_argument(out), *options)
    return Hints(again=again, same=again, directory=out, options=_given(context, _SAME_JOURNAL))


def _hints_for_paid(directory: Path) -> Hints:
    """Return hints of which `again` continues what is paid for, and buys no other request."""
    context = click.get_current_context()
    terms = _given(context, _SAME_JOURNAL | _SAME_TERMS)
    return Hints(
        again=_line("resume", _as_argument(directory), _ONLY_PAID, *terms),
        same=_typed(context),
        directory=directory,
        options=_given(context, _SAME_JOURNAL),
    )


def hints_for_journal(directory: Path) -> Hints:
    """Return the hints of a command about the journal in a directory."""
    context = click.get_current_context()
    terms = _given(context, _SAME_JOURNAL | _SAME_TERMS | {"only_paid"})
    again = _line("resume", _as_argument(directory), *terms)
    options = _given(context, _SAME_JOURNAL)
    return Hints(again=again, same=again, directory=directory, options=options)


def current_hints() -> Hints | None:
    """Return the hints of the running command; to continue is to take up what is paid for.

    None if it is not about a journal.
    """
    context = click.get_current_context(silent=True)
    if context is None or "journal" not in context.params or context.params.get("no_journal"):
        return None
    given = context.params
    directory = given.get("directory") or given["out"]
    if directory is None and given["journal"] is not None:  # songs that nobody saves
        directory = given["journal"].parent
    return None if directory is None else _hints_for_paid(directory)


def placeholders() -> Hints:
    """Return hints with DIR in them, for any journal."""
    again = _line("resume", "DIR")
    return Hints(again=again, same=again, directory=Path("DIR"), options=())


def is_open_doubt(error: UdioError) -> TypeGuard[SubmitInDoubt]:
    """Return whether it is a doubt that waits for an answer.

    One that its owner gave up has no evidence any more.
    """
    return isinstance(error, SubmitInDoubt) and bool(error.evidence)


def _line(*words: str) -> str:
    return f"{program()} {shlex.join(words)}"


def _typed(context: click.Context) -> str:
    """Return the running command as it was given."""
    return f"{program()} {shlex.join(context.obj)}"


def _as_argument(path: Path) -> str:
    """Return a path that cannot be taken for an option."""
    return f"./{path}" if str(path).startswith("-") else str(path)


def _given(context: click.Context, names: frozenset[str]) -> tuple[str, ...]:
    """Return these options as they were given to the running command."""
    words: list[str] = []
    for option in context.command.params:
        name = str(option.name)
        if name in names and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            value = context.params[name]
            words += option.opts[:1] if value is True else [option.opts[0], _word(value)]
    return tuple(words)


def _word(value: object) -> str:
    return as_typed(value) if isinstance(value, float) else str(value)
