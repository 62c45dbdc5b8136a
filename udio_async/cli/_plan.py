"""The plan of a batch, made before anything is spent."""

import sys
from collections import Counter
from collections.abc import Sequence

import attrs
import click

from .. import Provider
from .._submit import affordable
from ..journal import State
from ..providers.kit import is_local_url
from ._input import Entry
from ._known import Known
from ._memories import Found
from ._text import amount, counted

_DONE = frozenset({State.READY, State.DELIVERED, State.FAILED, State.ABANDONED})


@attrs.frozen(kw_only=True)
class Plan:
    """How the requests of a batch stand before it runs."""

    requests: int
    done: int = 0
    had: int = 0
    """Requests whose songs are here, although the journal does not know them."""
    fetched: int = 0
    """Requests that were paid for in an earlier journal, and whose songs are fetched again."""
    left: int = 0
    """Requests that are left alone: by what is here, they were or may have been paid for."""
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
        elsewhere = self.had + self.fetched + self.left
        return self.requests - self.done - elsewhere - self.made - held

    @property
    def to_submit(self) -> int:
        """How many this run will submit, if nothing stops it."""
        return self.waiting if self.limit is None else min(self.waiting, self.limit)

    def __str__(self) -> str:
        known = [
            f"{number} {words}"
            for number, words in (
                (self.done, "done already"),
                (self.had, "here already"),
                (self.fetched, "fetched again"),
                (self.left, "left alone"),
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
    entries: Sequence[Entry],
    known: Known,
    found: Found,
    provider: Provider,
    *,
    resubmits: bool,
    max_submits: int | None,
    max_credits: float | None,
) -> Plan:
    """Compare a batch with what its journal and its folder know.

    Args:
        entries: the requests, with their keys.
        known: what the journal knows.
        found: what the folder knows.
        provider: has the price of a request, if it is known.
        resubmits: whether requests in doubt are submitted again.
        max_submits: the limit of this run, in requests.
        max_credits: the limit of this run, in credits; without a price it limits nothing here.
    """
    price = provider.traits.credits_per_request
    limits = [] if max_submits is None else [max_submits]
    if max_credits is not None and price is not None:
        limits.append(affordable(max_credits, price))
    elsewhere = found.jobs
    fetched = sum(bool(one.task_ids) for one in found.gone)
    states = Counter(known.states.get(entry.job) for entry in entries if entry.job not in elsewhere)
    return Plan(
        requests=len(entries),
        had=len(found.had),
        fetched=fetched,
        left=len(found.gone) - fetched,
        done=sum(states[state] for state in _DONE),
        made=states[State.ACCEPTED],
        in_doubt=states[State.IN_DOUBT],
        resubmits=resubmits,
        limit=min(limits, default=None),
        price=price,
    )


def confirm(plan: Plan, provider: Provider, *, yes: bool, quiet: bool) -> None:
    """Show what will be spent, and ask, if somebody is there to answer.

    Nothing is asked with `yes`, or if nothing would be submitted, or for a service on this machine.

    Raises:
        click.Abort: the answer was no, or there was none.
    """
    if not quiet:
        click.echo(str(plan), err=True)
    somebody = sys.stdin.isatty() and sys.stderr.isatty()
    if yes or not somebody or not plan.to_submit or is_local_url(provider.account().base_url):
        return
    try:
        if click.confirm("Go on?", err=True):
            return
    except (click.Abort, OSError):  # Ctrl-C, or a terminal that is gone
        click.echo(err=True)
    click.echo("nothing was sent", err=True)
    raise click.Abort
