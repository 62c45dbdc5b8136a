"""The three song services on your own machine: for a first try, and for tests.

    async with Sandbox() as sandbox:
        async with Client(sandbox.udioapi_v2()) as client:
            songs = await client.generate("An upbeat pop song about summer")

It needs the extra `sandbox`: `pip install "udio-async[sandbox]"`. `help(Fault)` lists what can go
wrong on demand.

It is a real HTTP server on this machine, so a client meets sockets, time-outs and cut answers as
with the real services. Songs are real audio files with made-up tunes. What it answers follows the
services' own pages, which each module names.
"""

from ._faults import Fault
from ._kinds import GROUPS as FAULT_GROUPS
from ._ledger import Submit
from ._server import Sandbox, serve
from ._sounds import Sound

__all__ = ["FAULT_GROUPS", "Fault", "Sandbox", "Sound", "Submit", "serve"]
