"""Values that go in and come out: requests, songs, tasks, outcomes.

All are frozen attrs classes, the same for every provider. Durations are seconds, times have a time
zone. A request is checked when it is made, before anything can be sent for it.
"""

from .outcome import Audit, CallbackAddress, CallbackNews, Credits, Outcome, arrived_in, songs_in
from .request import (
    PartialRequest,
    ProviderOptions,
    SongRequest,
    VocalGender,
    as_request,
    check_name,
    shown,
)
from .song import Failure, FailureKind, Song, Stage, Task, failure_error

__all__ = [
    "Audit",
    "CallbackAddress",
    "CallbackNews",
    "Credits",
    "Failure",
    "FailureKind",
    "Outcome",
    "PartialRequest",
    "ProviderOptions",
    "Song",
    "SongRequest",
    "Stage",
    "Task",
    "VocalGender",
    "arrived_in",
    "as_request",
    "check_name",
    "failure_error",
    "shown",
    "songs_in",
]
