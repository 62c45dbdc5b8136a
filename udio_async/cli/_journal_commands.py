"""The commands about a journal; what they do is imported late."""
# ruff: noqa: ANN401, PLC0415 - click checks the options; for the imports see above

from pathlib import Path
from typing import Any

import click

from ._names import STATES
from ._options import (
    DIRECTORY,
    TEXT,
    backend_option,
    journal_option,
    journal_service_options,
    journal_that_exists,
    json_option,
    price_option,
    take_service,
    with_options,
)


@click.command()
@click.argument("directory", type=DIRECTORY, metavar="DIR")
@click.option(
    "--state",
    "states",
    type=click.Choice(STATES),
    multiple=True,
    help="Only jobs in this state; may be given more than once.",
)
@journal_option
@with_options(*journal_service_options, json_option, backend_option)
def jobs(
    *,
    directory: Path,
    states: tuple[str, ...],
    journal: Path | None,
    as_json: bool,
    backend: str,
    **options: Any,
) -> None:
    """List what the journal in DIR remembers: each request, its state, key and task.

    \b
    planned    kept for `resume`, and not submitted yet
    sending    on its way to the provider
    accepted   paid for, and being made
    refused    the provider took nothing
    not_sent   nothing left this machine, or you said that nothing was taken
    in_doubt   it may have been taken: see `doubts`
    ready      made, and its songs are not saved yet
    delivered  made, and its songs are saved
    failed     accepted, and the provider made no songs
    abandoned  in doubt, and given up by you
    forgotten  taken back by `forget`
    """  # noqa: D301 - click's mark of a paragraph that is not to be wrapped
    from ..journal import State
    from ._jobs import show_jobs

    path = journal_that_exists(directory, journal)
    wanted = [State(state) for state in states or STATES]
    show_jobs(take_service(options, path), path, wanted, as_json=as_json, backend=backend)


@click.command()
@click.argument("directory", type=DIRECTORY, metavar="DIR")
@click.argument("keys", type=TEXT, metavar="KEY...", nargs=-1, required=True)
@journal_option
@with_options(*journal_service_options, backend_option)
def forget(
    *,
    directory: Path,
    keys: tuple[str, ...],
    journal: Path | None,
    backend: str,
    **options: Any,
) -> None:
    """Take back requests for which nothing was taken: `resume` never submits them.

    `jobs` shows the keys. A batch whose file asks for it again submits it all the same. What was
    taken, or may have been, cannot be taken back; exit code 2 says that such were among them.
    """
    from ._hints import hints_for_journal
    from ._jobs import forget_jobs

    path = journal_that_exists(directory, journal)
    hints = hints_for_journal(directory)
    forget_jobs(take_service(options, path), path, keys, hints, backend=backend)


@click.command()
@click.argument("directory", type=DIRECTORY, metavar="DIR")
@click.option("--yes", "-y", is_flag=True, help="Say so, and do not ask.")
@journal_option
@with_options(*journal_service_options, backend_option)
def rekey(
    *, directory: Path, yes: bool, journal: Path | None, backend: str, **options: Any
) -> None:
    """Tell the journal in DIR that today's API key or --base-url is one of its own account.

    A journal refuses the key of another account, which would find none of its songs. If you have
    replaced the key and the provider shows its songs to the new one, nothing is needed; if it
    does not, say once with this command that the account is the same.

    A journal also refuses another --base-url than it was made with, before anything is sent. If the
    service has moved, give its new address to this command once.
    """
    from ._rekey import rekey as give

    path = journal_that_exists(directory, journal)
    give(take_service(options, path), path, yes=yes, backend=backend)


@click.command()
@click.argument("directory", type=DIRECTORY, metavar="DIR")
@journal_option
@with_options(*journal_service_options, json_option, backend_option)
def doubts(
    *, directory: Path, journal: Path | None, as_json: bool, backend: str, **options: Any
) -> None:
    """List the requests that may have been taken and paid for.

    An answer was lost, so only your account at the provider can tell. Each comes with the
    commands that end it; nothing is submitted again before that.
    """
    from ._doubts import show_doubts
    from ._hints import hints_for_journal

    path = journal_that_exists(directory, journal)
    hints = hints_for_journal(directory)
    show_doubts(take_service(options, path), path, hints, as_json=as_json, backend=backend)


@click.command()
@click.argument("directory", type=DIRECTORY, metavar="DIR")
@click.argument("key", type=TEXT)
@click.option("--task-id", metavar="ID", help="It was taken: this is its id at the provider.")
@click.option("--resubmit", is_flag=True, help="It was not taken: submit it again, and pay.")
@click.option("--abandon", is_flag=True, help="Give it up: neither look for it nor submit it.")
@journal_option
@with_options(*journal_service_options, backend_option)
def resolve(
    *, directory: Path, key: str, journal: Path | None, backend: str, **options: Any
) -> None:
    """End the doubt about the request KEY, with one of three answers.

    This only writes the answer into the journal; `resume` or the same batch then acts on it.
    """
    from ._doubts import Answer, end_doubt
    from ._hints import hints_for_journal

    answer = Answer(**{name: options.pop(name) for name in ("task_id", "resubmit", "abandon")})
    path = journal_that_exists(directory, journal)
    hints = hints_for_journal(directory)
    end_doubt(take_service(options, path), path, key, answer, hints, backend=backend)


@click.command()
@click.argument("directory", type=DIRECTORY, metavar="DIR")
@journal_option
@with_options(price_option, *journal_service_options, json_option, backend_option)
def audit(
    *, directory: Path, journal: Path | None, as_json: bool, backend: str, **options: Any
) -> int:
    """Compare what the journal says was charged with the provider's own counter.

    Conclusive only if nobody else uses the key. Exit code 1 when they differ, 2 when they cannot
    be compared, as when the provider cannot be reached.
    """
    from ._audit import show_audit

    path = journal_that_exists(directory, journal)
    return show_audit(take_service(options, path), path, as_json=as_json, backend=backend)


JOURNAL_COMMANDS = (jobs, forget, rekey, doubts, resolve, audit)
