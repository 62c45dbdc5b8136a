"""What a batch will ask for and cost, said before anything is spent."""

import sys
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import attrs
import click

from .._book import Keys
from .._errors import JournalError
from .._http import is_loopback
from ..journal import SqliteJournal, State
from ..providers import Provider
from ._failures import BadInput
from ._input import Entry
from ._text import counted

_DONE = frozenset({State.READY, State.FAILED, State.ABANDONED})


@attrs.frozen(kw_only=True)
class Plan:
    """How the requests of a batch stand before it runs."""

    requests: int
    done: int = 0
    made: int = 0
    """Accepted in an earlier run, and being made."""
    in_doubt: int = 0
    price: float | None = None

    @property
    def to_submit(self) -> int:
        """How many will be submitted, if nothing stops the run."""
        return self.requests - self.done - self.made - self.in_doubt

    def __str__(self) -> str:
        known = [
            f"{number} {words}"
            for number, words in (
                (self.done, "done already"),
                (self.made, "being made"),
                (self.in_doubt, "in doubt"),
            )
            if number
        ]
        cost = ""
        if self.price is not None and self.to_submit:
            cost = f", about {self.to_submit * self.price:,.6g} credits"
        before = f" ({', '.join(known)})" if known else ""
        return f"{counted(self.requests, 'request')}{before}: {self.to_submit:,} to submit{cost}"


def make_plan(
    entries: list[Entry], provider: Provider, journal: Path | None, *, backend: str
) -> Plan:
    """Compare a batch with what its journal knows.

    Raises:
        BadInput: the journal is in use, damaged or not ours.
    """
    price = provider.traits.credits_per_song
    if journal is None or not journal.is_file():
        return Plan(requests=len(entries), price=price)
    try:
        known = anyio.run(_states, SqliteJournal(journal), provider, backend=backend)
    except JournalError as error:
        raise BadInput(str(error)) from error
    keys = Keys()
    states = Counter(known.get(keys.name(entry.request)) for entry in entries)
    return Plan(
        requests=len(entries),
        done=sum(states[state] for state in _DONE),
        made=states[State.ACCEPTED],
        in_doubt=states[State.IN_DOUBT],
        price=price,
    )


async def _states(journal: SqliteJournal, provider: Provider) -> dict[str, State]:
    async with journal.open(f"{provider.name} {provider.account().key.fingerprint()}"):
        return {entry.key: entry.state for entry in await journal.entries(list(State))}


def confirm(plan: Plan, provider: Provider, *, yes: bool, quiet: bool) -> None:
    """Say what will be spent, and ask for it where somebody is there to answer.

    Raises:
        click.Abort: the answer was no.
    """
    if not quiet:
        click.echo(str(plan), err=True)
    host = urlsplit(provider.account().base_url).hostname or ""
    somebody = sys.stdin.isatty() and sys.stderr.isatty()
    if yes or not somebody or not plan.to_submit or is_loopback(host):
        return
    if not click.confirm("Go on?", err=True):
        click.echo("nothing was sent", err=True)
        raise click.Abort
