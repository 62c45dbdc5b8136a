"""Run the cells of a notebook in a real kernel, each in a task of its own, as Jupyter does.

Run it as `python -m tests.places.notebook`: it prints what the cells print, and ends with 1 at the
first that fails.
"""

import sys

from jupyter_client.manager import start_new_kernel

CELLS = """
import udio_async as ua
sandbox = await ua.Sandbox(speed=600).open()
client = await ua.Client(sandbox.udioapi_v2()).open()

job = await client.submit("rain")

print(len(await job.songs()), "songs")

async with client.generate_many(["sun", "snow"]) as batch:
    print(sum([outcome.ok async for outcome in batch]), "of a batch")

batch = await client.generate_many(["wind", "fog"]).__aenter__()

print(sum([outcome.ok async for outcome in batch]), "over two cells")

_ = await batch.__aexit__(None, None, None)

await client.aclose()
await client.aclose()
await sandbox.aclose()

await client.open()
await client.aclose()
print("closed")
"""


def main() -> int:
    manager, kernel = start_new_kernel(kernel_name="python3")
    try:
        for cell in CELLS.strip().split("\n\n"):
            answer = kernel.execute_interactive(cell, timeout=30)["content"]
            if answer["status"] != "ok":
                sys.stderr.write("\n".join(answer["traceback"]))
                return 1
    finally:
        kernel.stop_channels()
        manager.shutdown_kernel(now=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
