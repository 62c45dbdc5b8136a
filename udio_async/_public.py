"""All public names, gathered for `__init__`, which loads them late.

A name that users import goes into `__all__` here; a test compares it with what is there.
"""

from typing import TYPE_CHECKING

from ._account import hand_over
from ._batch import Batch
from ._client import Client
from ._download import Saved
from ._errors import (
    AccountError,
    AnotherAccount,
    AuthenticationFailed,
    BadAnswer,
    Blocked,
    CallbackRejected,
    ClientClosed,
    DiskUnavailable,
    DownloadFailed,
    GenerationFailed,
    InsufficientCredits,
    InvalidRequest,
    JournalError,
    LinkExpired,
    ModerationFailed,
    NetworkUnusable,
    NotAudio,
    NotServedYet,
    PermissionDenied,
    ProviderUnavailable,
    RateLimited,
    RequestError,
    RequestRefused,
    SpendLimitReached,
    SubmitInDoubt,
    TooManyDoubts,
    Truncated,
    UdioError,
    Unreachable,
    UnsupportedOption,
    UpstreamFailed,
    WaitExpired,
)
from ._events import Event
from ._http import ApiKey
from ._job import Job
from ._polling import PollPolicy
from ._records import (
    Audit,
    CallbackAddress,
    CallbackNews,
    Credits,
    Failure,
    FailureKind,
    Outcome,
    Song,
    SongRequest,
    Stage,
    Task,
)
from .callbacks import Callbacks
from .journal import Entry as JournalEntry
from .journal import Journal, MemoryJournal, SqliteJournal
from .journal import State as JournalState
from .providers import (
    Apiframe,
    ApiframeOptions,
    Provider,
    Traits,
    UdioApiOptions,
    UdioApiV1,
    UdioApiV2,
    provider_named,
    request_of,
)

if TYPE_CHECKING:  # it needs the extra `sandbox`
    from .sandbox import Sandbox

__all__ = [
    "AccountError",
    "AnotherAccount",
    "ApiKey",
    "Apiframe",
    "ApiframeOptions",
    "Audit",
    "AuthenticationFailed",
    "BadAnswer",
    "Batch",
    "Blocked",
    "CallbackAddress",
    "CallbackNews",
    "CallbackRejected",
    "Callbacks",
    "Client",
    "ClientClosed",
    "Credits",
    "DiskUnavailable",
    "DownloadFailed",
    "Event",
    "Failure",
    "FailureKind",
    "GenerationFailed",
    "InsufficientCredits",
    "InvalidRequest",
    "Job",
    "Journal",
    "JournalEntry",
    "JournalError",
    "JournalState",
    "LinkExpired",
    "MemoryJournal",
    "ModerationFailed",
    "NetworkUnusable",
    "NotAudio",
    "NotServedYet",
    "Outcome",
    "PermissionDenied",
    "PollPolicy",
    "Provider",
    "ProviderUnavailable",
    "RateLimited",
    "RequestError",
    "RequestRefused",
    "Sandbox",
    "Saved",
    "Song",
    "SongRequest",
    "SpendLimitReached",
    "SqliteJournal",
    "Stage",
    "SubmitInDoubt",
    "Task",
    "TooManyDoubts",
    "Traits",
    "Truncated",
    "UdioApiOptions",
    "UdioApiV1",
    "UdioApiV2",
    "UdioError",
    "Unreachable",
    "UnsupportedOption",
    "UpstreamFailed",
    "WaitExpired",
    "hand_over",
    "provider_named",
    "request_of",
]
