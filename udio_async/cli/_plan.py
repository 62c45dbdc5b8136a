"""What a batch will ask for and cost, said before anything is spent."""

import sys
from collections import Counter
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import attrs
import click

from .._urls import is_loopback
from ..journal import State
from ..journal.keys import BatchKeys
from ..providers import Provider
from ._input import Entry
from ._opened import open_client
from ._question import ask
from ._service import Service
from ._text import amount, counted

_DONE = frozenset({State.READY, State.DELIVERED, State.FAILED, State.ABANDONED})


@attrs.frozen(kw_only=True)
class Plan:
    """How the requests of a batch stand before it runs."""

    requests: int
    done: int = 0
    made: int = 0
    """Accepted in an earlier run, and being made."""
    in_doubt: int = 0
    resubmits: bool = False
    """Whether those in doubt are asked for again."""
    limit: int | None = None
    """How many this run may submit."""
    price: float | None = None

    @property
    def waiting(self) -> int:
        """How many have to be submitted."""
        held = 0 if self.resubmits else self.in_doubt
        return self.requests - self.done - self.made - held

    @property
    def to_submit(self) -> int:
        """How many this run will submit, if nothing stops it."""
        return self.waiting if self.limit is None else min(self.waiting, self.limit)

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
            cost = f", about {amount(self.to_submit * self.price)} credits"
        before = f" ({', '.join(known)})" if known else ""
        left = self.waiting - self.to_submit
        later = f"; the limit leaves {left:,} to a later run" if left else ""
        asked = f"{counted(self.requests, 'request')}{before}"
        return f"{asked}: {self.to_submit:,} to submit{cost}{later}"


def make_plan(
    entries: list[Entry],
    service: Service,
    journal: Path | None,
    *,
    resubmits: bool,
    max_submits: int | None,
    max_credits: float | None,
    backend: str,
) -> Plan:
    """Compare a batch with what its journal knows.

    Raises:
        BadInput: the journal is in use, damaged or not ours.
    """
    price = service.provider().traits.credits_per_song
    limits = [] if max_submits is None else [max_submits]
    if max_credits is not None and price is not None:
        limits.append(int(max_credits // price))
    plan = Plan(
        requests=len(entries),
        resubmits=resubmits,
        limit=min(limits, default=None),
        price=price,
    )
    if journal is None or not journal.is_file():
        return plan
    known = ask(partial(_states, service, journal), backend=backend)
    keys = BatchKeys()
    states = Counter(known.get(keys.name(entry.request)) for entry in entries)
    return attrs.evolve(
        plan,
        done=sum(states[state] for state in _DONE),
        made=states[State.ACCEPTED],
        in_doubt=states[State.IN_DOUBT],
    )


async def _states(service: Service, journal: Path) -> dict[str, State]:
    async with open_client(service, journal=journal) as client:
        return {job.key: job.state async for job in client.jobs()}


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
    try:
        if click.confirm("Go on?", err=True):
            return
    except (click.Abort, OSError):  # Ctrl-C, or a terminal that is gone
        click.echo(err=True)
    click.echo("nothing was sent", err=True)
    raise click.Abort
