"""Taking submits: each gets its fault, its price and its answer.

Each is in the ledger before it is answered.
"""

from collections.abc import Callable, Mapping
from functools import partial

import anyio
import attrs
from starlette.requests import Request
from starlette.responses import Response

from ._answers import CONFIRMATIONS, REFUSALS, Dialect, Endpoint, encoded_answer
from ._bodies import RefusedError, read_json
from ._callbacks import Caller
from ._kinds import kind_of
from ._ledger import Ledger, Submit
from ._tasks import MadeTask, Order
from ._world import COSTS, OutOfCreditsError, World

SLOW_ANSWER_SECONDS = 1.0  # of real time, at any speed: it is there to meet the caller's time-out
_TOO_MANY = "Too many generations at once, wait for one to finish"

Describe = Callable[[MadeTask, float], object]
"""Returns what is posted about a task at a time of the world's clock."""


@attrs.frozen(kw_only=True)
class SubmitHandler:
    """Takes the submits of all three services, with one account for all."""

    world: World = attrs.field(factory=World)
    caller: Caller = attrs.field(factory=Caller)
    ledger: Ledger = attrs.field(factory=Ledger)
    no_credit: int = 402
    """The HTTP status that says that the account is empty."""

    def taking(self, provider: str, dialect: Dialect, endpoint: Endpoint) -> Endpoint:
        """Wrap an endpoint so that what it refuses is in the ledger too."""

        async def take(request: Request) -> Response:
            try:
                return await endpoint(request)
            except RefusedError as error:
                answer = dialect.error(error.status, error.message)
                self.ledger.note(
                    Submit(
                        provider=provider,
                        answered=answer.status_code,
                        request=await _readable(request),
                        key_ok=error.status != 401,
                    )
                )
                return answer

        return take

    async def take(self, dialect: Dialect, order: Order, describe: Describe) -> Response:
        """Take an order that breaks no rule, and answer it.

        It may still be refused: by its fault, or because the account is empty or busy.
        """
        fault, answer, task = self._decide(dialect, order)
        self.ledger.note(
            Submit(
                provider=order.provider,
                answered=answer.status_code,
                credits=COSTS[order.provider] if task else 0.0,
                task_id=task.id if task else "",
                fault=fault,
                prompt=order.prompt,
                request=order.request,
                key_ok=order.key_ok,
            )
        )
        if task is None:
            return answer
        self.caller.follow(task, self.world.clock(), partial(describe, task))
        if fault == "slow_submit":
            await anyio.sleep(SLOW_ANSWER_SECONDS)
        return encoded_answer(answer, task)

    def _decide(self, dialect: Dialect, order: Order) -> tuple[str, Response, MadeTask | None]:
        """Return an order's fault, its answer, and its task or None."""
        # Before a fault is dealt out: whether the account is busy depends on the clock, and the
        # same submits must get the same faults.
        if self.world.is_busy():
            return "", dialect.error(429, _TOO_MANY), None
        fault = self.world.plan.deal(order.provider, order.prompt)
        refuse = REFUSALS.get(kind_of(fault))
        if refuse is not None:
            return fault, refuse(dialect, fault), None
        try:
            task = self.world.accept(order, fault)
        except OutOfCreditsError:
            return fault, dialect.no_credit(self.no_credit), None
        confirm = CONFIRMATIONS.get(fault)
        return fault, confirm(dialect, task.id) if confirm else dialect.accepted(task.id), task


async def _readable(request: Request) -> Mapping[str, object]:
    """Return the body of a refused submit, as far as it can be read.

    A key in it is left out.
    """
    try:
        body = await read_json(request)
    except RefusedError:
        return {}
    return {name: value for name, value in body.items() if name != "token"}
