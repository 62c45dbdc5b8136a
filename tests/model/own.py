"""A client of the owner's own: it tells nothing, repeats what failed, and its hook may break."""

import anyio
import httpx

from tests.model.world import Process, World, is_paid


class Untold(httpx.AsyncBaseTransport):
    """Stands where a bridge to another library would; it may ask again after a bad answer."""

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self._process = process

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._world.exchange(request, self._process, told=False)
        if response.status_code < 500 or self._world.random.random() < 0.5:
            return response
        await anyio.sleep(1)
        return await self._world.exchange(request, self._process, told=False)


def own_client(world: World, process: Process) -> httpx.AsyncClient:
    """Return a client that reports nothing, with a hook that cannot always do its work."""

    async def count(response: httpx.Response) -> None:
        if is_paid(response.request) and world.random.random() < world.trouble / 3:
            elsewhere = httpx.Request("POST", "https://metrics.example.org")
            raise httpx.ConnectError("metrics are away", request=elsewhere)

    return httpx.AsyncClient(transport=Untold(world, process), event_hooks={"response": [count]})
