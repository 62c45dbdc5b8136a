"""The three song services on your own machine: for a first try, and for tests.

    async with Sandbox() as sandbox:
        async with Client(sandbox.udioapi_v2()) as client:
            songs = await client.generate("An upbeat pop song about summer")

It needs the extra `sandbox`: `pip install "udio-async[sandbox]"`.
"""

from ._faults import Fault
from ._server import Sandbox, serve
from ._world import Charge

__all__ = ["Charge", "Fault", "Sandbox", "serve"]
