"""The sandbox as a running server: in a thread, or in the foreground."""

import math
import socket
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, Self, TypeVar

import anyio
import anyio.to_thread
import attrs
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from .._errors import InvalidRequest
from .._validators import check_above_zero, check_count, check_not_negative
from ..providers import Apiframe, UdioApiV1, UdioApiV2
from ._app import make_app
from ._callbacks import Caller, Delivery
from ._faults import Fault
from ._kinds import NO_CREDIT_STATUSES
from ._ledger import Submit
from ._sounds import Sound, make_sound
from ._submits import SubmitHandler
from ._world import COSTS, CREDITS, World

P = TypeVar("P", UdioApiV1, UdioApiV2, Apiframe)

_KEEP_ALIVE = 75  # seconds, like the edge proxies before the real services
_STOP_WITHIN = 5.0  # seconds
_BACKLOG = 2048
_LAST_PORT = 65_535


class Sandbox:
    """The three services on your own machine, for free.

    It needs no key and no network.

    Enter it with `async with`, or `open` and `aclose` it, on asyncio or trio. The server has a
    thread and an event loop of its own, so it answers whatever the caller's loop is doing. State
    stays readable after leaving.

        async with Sandbox(speed=120) as sandbox, Client(sandbox.udioapi_v2()) as client:
            await client.generate("a song about rain")
        print(len(sandbox.ledger))

    Args:
        speed: how much faster than a real service songs are made; at 60 they take about a second.
        host: the address to listen on.
        port: the port to listen on; 0 takes a free one.
        faults: what goes wrong, and with which submits.
        seed: runs with the same seed and the same submits take the same time.
        credits: what the account holds at the start; it is one account for all three services.
        no_credit: the HTTP status of a submit that is refused because the account is empty: 200
            (with the 402 in the body), 400, 402, 403, 429 or 500.
        at_once: how many requests the account's plan allows in the making at once. A further one
            is answered 429 without `Retry-After`, and costs nothing. None is without end.
        api_key: the only key that is accepted.

    Raises:
        ValueError: a setting that cannot be.
    """

    def __init__(
        self,
        *,
        speed: float = 60.0,
        host: str = "127.0.0.1",
        port: int = 0,
        faults: Sequence[Fault] = (),
        seed: int = 0,
        credits: float = CREDITS,  # noqa: A002 - the word of every service here
        no_credit: int = 402,
        at_once: int | None = None,
        api_key: str = "sandbox",
    ) -> None:
        check_above_zero("speed", speed)
        if credits != math.inf:
            check_not_negative("credits", credits, remedy="give a number, at least 0")
        if at_once is not None:
            check_count("at_once", at_once)
        _check_address(host, port)
        _check_faults(faults)
        _check_key(api_key)
        if no_credit not in NO_CREDIT_STATUSES:
            known = ", ".join(map(str, NO_CREDIT_STATUSES))
            raise ValueError(f"no_credit must be one of {known}, not {no_credit}")
        self.speed = speed
        self.api_key = api_key
        self._host = host
        self._port = port
        self._base_url = ""
        self._world = World(
            speed=speed,
            seed=seed,
            credits=credits,
            at_once=at_once,
            api_key=api_key,
            faults=tuple(faults),
        )
        self._handler = SubmitHandler(world=self._world, no_credit=no_credit)
        self._running: _Running | None = None

    @property
    def base_url(self) -> str:
        """Where it listens: "http://127.0.0.1:41234".

        Raises:
            RuntimeError: it was never entered.
        """
        if not self._base_url:
            raise RuntimeError("The sandbox has no address yet; enter it with `async with`")
        return self._base_url

    @property
    def ledger(self) -> tuple[Submit, ...]:
        """The submits that were charged so far, oldest first.

        That nothing was paid twice is one line of a test:

            assert max(Counter(submit.prompt for submit in sandbox.ledger).values()) == 1
        """
        return self._handler.ledger.charges

    @property
    def submits(self) -> tuple[Submit, ...]:
        """Every submit so far, oldest first, taken or not.

        Each has its answer, its price and its fault. One that was refused, whatever for, is here
        and not in `ledger`.
        """
        return self._handler.ledger.submits

    def sound_of(self, song_id: str) -> Sound:
        """Return the file of a song, as every good download has it.

        The fault of its task makes no difference to it.

        Raises:
            KeyError: no such song was ordered.
        """
        found = self._world.find_song(song_id)
        if found is None:
            raise KeyError(song_id)
        return make_sound(song_id, found[1].ending)

    @property
    def deliveries(self) -> tuple[Delivery, ...]:
        """The latest callbacks that were posted, oldest first.

        10,000 at most. Only addresses on this machine are called.
        """
        return tuple(self._handler.caller.deliveries)

    def udioapi_v1(self, **options: Any) -> UdioApiV1:  # noqa: ANN401 - checked by the class
        """Return the v1 provider of this sandbox.

        It is the older generation ("legacy"), which needs no callback. `options` are those of
        `UdioApiV1`.

        Raises:
            RuntimeError: the sandbox was never entered, so it has no address.
        """
        return self._quicken(
            UdioApiV1(**self._access({"generation": "legacy", **options})), options
        )

    def udioapi_v2(self, **options: Any) -> UdioApiV2:  # noqa: ANN401 - checked by the class
        """Return the v2 provider of this sandbox. `options` as in `UdioApiV2`.

        Raises:
            RuntimeError: the sandbox was never entered, so it has no address.
        """
        return self._quicken(UdioApiV2(**self._access(options)), options)

    def apiframe(self, **options: Any) -> Apiframe:  # noqa: ANN401 - checked by the class
        """Return the apiframe provider of this sandbox. `options` as in `Apiframe`.

        Raises:
            RuntimeError: the sandbox was never entered, so it has no address.
        """
        return self._quicken(Apiframe(**self._access(options)), options)

    def run(self, on_ready: Callable[[str], object] | None = None) -> None:
        """Serve in the foreground until SIGINT or SIGTERM, then return.

        Args:
            on_ready: is called with `base_url` once the server answers.

        Raises:
            OSError: the address or the port cannot be had.
        """
        with self._listen() as listener:
            server = self._make_server(lambda: on_ready and on_ready(self.base_url))
            server.run([listener])

    async def open(self) -> Self:
        """Start the server where `async with` does not fit.

        That is in a notebook, or in the start-up hook of an application. `aclose` stops it.

        Raises:
            RuntimeError: it is open already, or did not start.
            OSError: the address or the port cannot be had.
        """
        if self._running is not None:
            raise RuntimeError("The sandbox is open already; `aclose` it first, or make another")
        ready = threading.Event()
        server = self._make_server(ready.set)
        listener = self._listen()
        thread = threading.Thread(
            target=_run, args=(server, listener, ready), name="udio-async-sandbox", daemon=True
        )
        self._running = _Running(server=server, listener=listener, thread=thread)
        thread.start()
        try:
            await _in_thread(ready.wait)
        finally:
            if not server.started:
                await self.aclose()
        if not server.started:
            raise RuntimeError("The sandbox's server did not start; see the log")
        return self

    async def aclose(self) -> None:
        """Stop the server; a second call does nothing.

        Any task and event loop may do it. `ledger`, `submits` and `deliveries` stay readable.
        """
        running, self._running = self._running, None
        if running is not None:
            running.server.should_exit = True
            try:
                with anyio.CancelScope(shield=True):  # short: `join` has the deadline
                    await _in_thread(lambda: running.thread.join(_STOP_WITHIN))
            finally:
                running.listener.close()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _make_server(self, on_started: Callable[[], object]) -> "_Server":
        """Build the server; it calls `on_started` once it is up."""
        config = uvicorn.Config(
            make_app(self._handler),
            http=_Protocol,
            access_log=False,
            log_config=None,  # the caller's logging stays as it is
            log_level="warning",
            lifespan="off",
            ws="none",
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=1,
            backlog=_BACKLOG,
            headers=[("Udio-Sandbox-Speed", str(self.speed))],  # for clients in other processes
        )
        return _Server(config, self._handler.caller, on_started)

    def _listen(self) -> socket.socket:
        """Bind the port, so that it is known before the server runs."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.create_server((self._host, self._port), family=family, backlog=_BACKLOG)
        # asyncio sets it only for sockets that name their protocol; else each answer waits 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        host = f"[{self._host}]" if ":" in self._host else self._host
        self._base_url = f"http://{host}:{listener.getsockname()[1]}"
        return listener

    def _access(self, options: dict[str, Any]) -> dict[str, Any]:
        return {"api_key": self.api_key, "base_url": self.base_url, **options}

    def _quicken(self, provider: P, options: dict[str, Any]) -> P:
        """Let a provider look more often, by the same factor by which songs are made faster.

        Traits that the caller gave stay as they are.
        """
        if "traits" in options:
            return provider
        traits = attrs.evolve(
            provider.traits.hastened(self.speed), credits_per_request=COSTS[provider.name]
        )
        return attrs.evolve(provider, traits=traits)


def _check_address(host: object, port: object) -> None:
    if not isinstance(host, str) or not host:
        raise InvalidRequest(f"host is {host!r}; give an address of this machine: 127.0.0.1")
    if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port <= _LAST_PORT:
        raise InvalidRequest(f"port is {port!r}; give a whole number from 0 to {_LAST_PORT}")


def _check_faults(faults: object) -> None:
    if (
        not isinstance(faults, Sequence)
        or isinstance(faults, str)
        or not all(isinstance(each, Fault) for each in faults)
    ):
        raise InvalidRequest(f"faults is {faults!r}; give a list of Fault objects")


def _check_key(api_key: object) -> None:
    if not isinstance(api_key, str) or not api_key:
        raise InvalidRequest(f"api_key is {api_key!r}; give text that is not empty")


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 8787,
    on_ready: Callable[[str], object] | None = None,
    **settings: Any,  # noqa: ANN401 - checked by the class
) -> None:
    """Run a sandbox in the foreground until SIGINT or SIGTERM.

    `settings` are those of `Sandbox`.

    Raises:
        ValueError: a setting that cannot be.
        OSError: the address or the port cannot be had.
    """
    Sandbox(host=host, port=port, **settings).run(on_ready)


@attrs.frozen(kw_only=True)
class _Running:
    """A server in its thread, with the socket that it listens on."""

    server: "_Server"
    listener: socket.socket
    thread: threading.Thread


class _Server(uvicorn.Server):
    """uvicorn, which tells when it is up, and ends quietly on a signal."""

    def __init__(
        self, config: uvicorn.Config, caller: Caller, on_started: Callable[[], object]
    ) -> None:
        super().__init__(config)
        self._caller = caller
        self._on_started = on_started

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, and post callbacks beside it for as long."""
        async with anyio.create_task_group() as tasks:
            self._caller.start(tasks)
            await super().serve(sockets)
            tasks.cancel_scope.cancel()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a signal handler
        """End after the first signal, at once after the second.

        uvicorn's own method would raise the signal again after a clean stop, and end the process.
        """
        self.force_exit = self.should_exit
        self.should_exit = True


class _Protocol(H11Protocol):
    """uvicorn's protocol, with a way for the application to hang up.

    ASGI itself has none.
    """

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - asyncio's own
        super().connection_made(transport)
        self.app_state = {**self.app_state, "hang_up": transport.close}


def _run(server: _Server, listener: socket.socket, ready: threading.Event) -> None:
    """Run the server in its thread."""
    try:
        server.run([listener])
    finally:
        ready.set()  # also when it did not start: nobody must wait for ever


async def _in_thread(wait: Callable[[], object]) -> None:
    """Wait for something in a thread, however many are busy."""
    # A limiter of its own: the caller may have every thread of the default one busy.
    await anyio.to_thread.run_sync(wait, limiter=anyio.CapacityLimiter(1))
