"""What was recorded, as samples: the tasks in it are called as the ways ask for them."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import attrs

from udio_async.testing import read_recording

from .cases import Sample
from .ways import TASKS, Way

FOLDER = Path(__file__).parents[1] / "recordings"
NAMES = {
    "gen2abc123def456bksv": TASKS[0],
    "29e983ca-7e86-4017-a9e3-ef6fe9cd5f2a": TASKS[0],
    "29e983ca-0000-0000-0000-000000000002": TASKS[1],
}
"""The tasks of the recordings."""
_NAMED = re.compile("|".join(NAMES))


@cache
def recorded(provider: str) -> tuple[Sample, ...]:
    """Return all recorded answers of a provider."""
    return tuple(_recorded(FOLDER / provider))


def _recorded(folder: Path) -> Iterator[Sample]:
    for path in sorted(folder.iterdir()):
        name = path.name.partition(".")[0]
        reply = read_recording(folder, name)
        text = _NAMED.sub(lambda found: NAMES[found[0]], reply.body.decode())
        headers = {**reply.headers}
        yield Sample(name=name, body=text.encode(), status=reply.status, headers=headers)


def _full() -> Sample:
    """As many tasks as may be asked for at once, in all stages."""
    tasks = [
        json.loads(sample.body)
        for sample in recorded("apiframe")
        if sample.name.startswith("fetch-") and sample.status == 200
    ]
    tasks = [task for task in tasks if isinstance(task, dict) and "task_id" in task]
    named = [{**tasks[place % len(tasks)], "task_id": name} for place, name in enumerate(TASKS)]
    return Sample(name="fetch-many-full", body=json.dumps({"tasks": named}).encode())


def samples_of(way: Way) -> tuple[Sample, ...]:
    """Return what a way may meet: most often its own recordings, now and then any others."""
    known = recorded(way.provider.name)
    own = [sample for sample in known if sample.name.startswith(way.recorded)]
    if len(way.tasks) > 1:
        own += [_full()] * 4
    if way.verb == "callback":
        known = tuple(attrs.evolve(sample, status=200, headers={}) for sample in known)
    return (*own * (4 * len(known) // len(own)), *known)
