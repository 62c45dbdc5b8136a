"""Every way in which the library reads what a provider says."""

from collections.abc import Mapping, Sequence
from typing import Literal

import attrs

import udio_async as ua
from udio_async.providers.kit import Http, Reply
from udio_async.testing import RecordedHttp

KEY = "key-of-the-ways-that-nobody-may-see"
TASK = "t0"
TASKS = tuple(f"t{place}" for place in range(20))
SONG = ua.SongRequest(description="a song")
ADDRESS = ua.CallbackAddress(url="https://songs.example.org/x", secret="s")
SECRET = {"x-webhook-secret": "s"}

V1 = ua.UdioApiV1(api_key=KEY)
LEGACY = ua.UdioApiV1(api_key=KEY, generation="legacy")
V2 = ua.UdioApiV2(api_key=KEY)
AF = ua.Apiframe(api_key=KEY)


def answering(reply: Reply) -> RecordedHttp:
    """A network that gives this answer: twice, as a look that meets a 405 asks again."""
    return RecordedHttp([reply, reply])


@attrs.frozen
class Way:
    """A provider, and what it is asked to read."""

    provider: ua.UdioApiV1 | ua.UdioApiV2 | ua.Apiframe
    verb: Literal["submit", "look", "credits", "callback"]
    recorded: str
    """How the recordings of such answers are named."""
    tasks: Sequence[str] = (TASK,)
    headers: Mapping[str, str] = attrs.field(factory=dict)

    async def read(self, http: Http, body: bytes = b"") -> object:
        """Ask over this network; `body` is that of a callback."""
        if self.verb == "submit":
            callback = None if self.provider.traits.callbacks == "none" else ADDRESS
            return await self.provider.submit(http, SONG, callback)
        if self.verb == "look":
            return await self.provider.fetch(http, self.tasks)
        if self.verb == "credits":
            return await self.provider.credits(http)
        return self.provider.read_callback(self.headers, body, ADDRESS)

    async def read_reply(self, reply: Reply) -> object:
        """Ask over a network that gives this answer."""
        return await self.read(answering(reply), reply.body)


WAYS: Mapping[str, Way] = {
    "submit to v1": Way(V1, "submit", "submit"),
    "submit to v1 legacy": Way(LEGACY, "submit", "submit"),
    "submit to v2": Way(V2, "submit", "submit"),
    "submit to apiframe": Way(AF, "submit", "submit"),
    "look at v1": Way(V1, "look", "feed"),
    "look at v2": Way(V2, "look", "feed"),
    "look at apiframe": Way(AF, "look", "fetch"),
    "look at many": Way(AF, "look", "fetch-many", TASKS),
    "credits of v2": Way(V2, "credits", "credits"),
    "credits of apiframe": Way(AF, "credits", "account"),
    "callback of v1": Way(V1, "callback", "callback"),
    "webhook of apiframe": Way(AF, "callback", "fetch", headers=SECRET),
}
