"""Everything that can go wrong, branched by what the caller can do about it.

Each class says what it means for the money: `charged`, whether the same request `may_repeat`, and
whether it `stops_batch`. Nothing else in the library decides that: providers' rules name a class.

UdioError
├── RequestError             fix the request
│   ├── InvalidRequest           it breaks a documented rule: nothing was sent
│   ├── UnsupportedOption        this provider has no such thing: nothing was sent
│   └── RequestRefused           the provider looked at it and declined
├── AccountError             fix the key or the credits
│   ├── AuthenticationFailed
│   ├── InsufficientCredits
│   ├── PermissionDenied
│   └── SpendLimitReached        your own limit, not the provider's
├── ProviderUnavailable      wait, or go elsewhere
│   ├── RateLimited
│   ├── Unreachable
│   │   └── NetworkUnusable      nothing leaves this machine until somebody mends its settings
│   ├── BadAnswer
│   └── Blocked                  a gateway turns every request of ours away
├── SubmitInDoubt            maybe paid: look before paying again
├── GenerationFailed         accepted, then failed
│   ├── ModerationFailed
│   └── UpstreamFailed
├── WaitExpired              still running at the provider
├── DownloadFailed           the song is safe at the provider, the file is not here
│   ├── NotAudio
│   ├── Truncated
│   ├── NotServedYet
│   └── LinkExpired
├── JournalError             cannot be trusted to remember: nothing more is submitted
│   └── AnotherAccount           it was made with another key
├── DiskUnavailable          files of songs cannot be written: nothing more is submitted
├── ClientClosed             the client was closed before the request left
└── CallbackRejected         forged or unreadable
"""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # records raise these errors, so only the type looks back at them
    from ._records import Song

Charged = Literal["no", "yes", "unknown"]


class UdioError(Exception):
    """Anything this library raises on purpose.

    `provider`, `job_key` and `task_id` say which song it is about, as far as is known.
    `charged` says whether the provider took credits for it: "no" only where that is certain.
    """

    charged: Charged = "no"
    may_repeat: bool = False
    """Whether the same request may be sent again after a wait, as it is certain that the provider
    took nothing."""
    stops_batch: bool = False
    """Whether every other request would meet the same error."""

    def __init__(
        self,
        message: str,
        *,
        provider: str | None = None,
        job_key: str | None = None,
        task_id: str | None = None,
        charged: Charged | None = None,
    ) -> None:
        super().__init__(message)
        self.provider = provider
        self.job_key = job_key
        self.task_id = task_id
        if charged is not None:
            self.charged = charged


class RequestError(UdioError):
    """Fix the request: the same one will fail again."""


class InvalidRequest(RequestError, ValueError):
    """The request breaks a documented rule. Nothing was sent."""


class UnsupportedOption(RequestError):
    """The chosen provider has no such feature. Nothing was sent."""


class RequestRefused(RequestError):
    """The provider looked at the request and took nothing."""


class AccountError(UdioError):
    """Fix the key or the credits: every other song will fail the same way."""

    stops_batch = True


class AuthenticationFailed(AccountError):
    """The key is missing, wrong or expired."""


class InsufficientCredits(AccountError):
    """The account cannot pay for a song."""


class PermissionDenied(AccountError):
    """The key is good but may not do this."""


class SpendLimitReached(AccountError):
    """The client's `max_submits` or `max_credits` allows no further song. Nothing was sent."""


class ProviderUnavailable(UdioError):
    """Wait, or go elsewhere: the provider gave no usable answer."""


class RateLimited(ProviderUnavailable):
    """The provider wants fewer requests.

    `retry_after` is the wait it asked for in seconds, or None.
    """

    may_repeat = True

    def __init__(self, message: str, *, retry_after: float | None = None, **about: str) -> None:
        super().__init__(message, **about)  # type: ignore[arg-type]  # the fields of UdioError
        self.retry_after = retry_after


class Unreachable(ProviderUnavailable):
    """No answer came.

    `sent` is False only where it is proved that no byte of the request left.
    """

    def __init__(self, message: str, *, sent: bool = True, **about: str) -> None:
        super().__init__(message, **about)  # type: ignore[arg-type]  # the fields of UdioError
        self.sent = sent
        self.may_repeat = not sent
        if sent and "charged" not in about:
            self.charged = "unknown"


class NetworkUnusable(Unreachable):
    """Nothing can leave until somebody mends it: a certificate, a proxy, a host that nobody knows.

    No byte of the request left.
    """

    stops_batch = True

    def __init__(self, message: str, **about: str) -> None:
        super().__init__(message, sent=False, **about)
        self.may_repeat = False


class BadAnswer(ProviderUnavailable):
    """An answer came that cannot be read: no JSON, too large, or of a shape nobody documented."""

    charged: Charged = "unknown"


class Blocked(ProviderUnavailable):
    """A gateway before the provider turns this client away, and every other request too."""

    stops_batch = True


class SubmitInDoubt(UdioError):
    """The request left, and no readable answer came back: the song may be running and paid for.

    It is never sent again by itself. `evidence` says what was seen.
    """

    charged: Charged = "unknown"

    def __init__(self, message: str, *, evidence: str = "", **about: str) -> None:
        super().__init__(message, **about)  # type: ignore[arg-type]  # the fields of UdioError
        self.evidence = evidence


class GenerationFailed(UdioError):
    """The provider accepted the song and then failed to make it.

    `songs` holds whatever did arrive. Whether a failed song is refunded is documented by none
    of the providers, hence `charged` is "unknown".
    """

    charged: Charged = "unknown"

    def __init__(self, message: str, *, songs: "tuple[Song, ...]" = (), **about: str) -> None:
        super().__init__(message, **about)  # type: ignore[arg-type]  # the fields of UdioError
        self.songs = songs


class ModerationFailed(GenerationFailed):
    """The provider's content rules stopped it: change the words."""


class UpstreamFailed(GenerationFailed):
    """The provider or the model behind it broke: the same request may work later."""


class WaitExpired(UdioError):
    """The song is still running at the provider after the deadline. Resume with `task_id`."""

    charged: Charged = "yes"


class DownloadFailed(UdioError):
    """The file is not on disk; the song is still at the provider."""

    charged: Charged = "yes"


class NotAudio(DownloadFailed):
    """The link answered with something that is no audio."""


class Truncated(DownloadFailed):
    """The audio ended early, each time."""


class NotServedYet(DownloadFailed):
    """The song was completed moments ago, and its file is not served yet."""


class LinkExpired(DownloadFailed):
    """The link is no longer served, and the provider has no other."""


class JournalError(UdioError):
    """The journal cannot be trusted to remember, so nothing more is submitted."""

    stops_batch = True


class AnotherAccount(JournalError):
    """The journal was made with another provider or API key. Nothing was changed."""


class DiskUnavailable(UdioError):
    """The last download could not be written, nor can another file like it. Nothing was sent."""

    stops_batch = True


class ClientClosed(UdioError, RuntimeError):
    """The client was closed before this request left. Nothing was sent."""


class CallbackRejected(UdioError):
    """A callback that is forged or cannot be read. Nothing was changed."""

    def __init__(self, message: str, *, forged: bool = False, **about: str) -> None:
        super().__init__(message, **about)  # type: ignore[arg-type]  # the fields of UdioError
        self.forged = forged
        """It does not show the secret that its address was given."""
