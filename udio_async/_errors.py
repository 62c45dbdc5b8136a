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
│   ├── Blocked                  a gateway turns every request of ours away
│   └── TooManyDoubts            your own limit of submits without an answer
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

from typing import TYPE_CHECKING, Literal, TypedDict, TypeVar, Unpack

if TYPE_CHECKING:  # records raise these errors, so only the type looks back at them
    from ._records import Song

Charged = Literal["no", "yes", "unknown"]


class About(TypedDict, total=False):
    """What every error may be told about its job.

    These are the keywords of `UdioError`.
    """

    provider: str | None
    job_key: str | None
    task_id: str | None
    charged: Charged | None


class UdioError(Exception):
    """Anything this library raises on purpose.

    `provider`, `job_key` and `task_id` say what it is about, as far as is known; None otherwise.
    `charged` is "no" only where it is certain that the provider took no credits.

        try:
            songs = await client.generate("a song about rain")
        except UdioError as error:
            print(error, error.charged, error.job_key)
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
    """The request breaks a documented rule.

    Nothing was sent. The message names the field, its value and what to give instead. It is also a
    `ValueError`.
    """


class UnsupportedOption(RequestError):
    """The chosen provider has no such feature.

    Nothing was sent. Leave the field out, or use a provider that has it.
    """


class RequestRefused(RequestError):
    """The provider looked at the request and took nothing.

    Its words are in the message. Change the request.
    """


class AccountError(UdioError):
    """Fix the key or the credits: every other request will fail too.

    A batch stops submitting; what was accepted before is still being made.
    """

    stops_batch = True


class AuthenticationFailed(AccountError):
    """The key is missing, wrong or expired."""


class InsufficientCredits(AccountError):
    """The account cannot pay for a request. Top it up, then continue."""


class PermissionDenied(AccountError):
    """The key is good but may not do this.

    Or not now: a limit of the day or the month is reached, which no wait of minutes lifts.
    """


class SpendLimitReached(AccountError):
    """The client's own limit allows no further request.

    That is `max_submits` or `max_credits`. Nothing was sent; a client with a higher limit
    continues.

        client = Client(provider, journal="songs.db", max_submits=100)
    """


class ProviderUnavailable(UdioError):
    """Wait, or go elsewhere: the provider gave no usable answer.

    Looks are repeated by the client; a submit only if nothing was taken (`may_repeat`).
    """


class RateLimited(ProviderUnavailable):
    """The provider wants fewer requests.

    `retry_after` is the wait it asked for in seconds, or None. The client waits and repeats by
    itself; you see this when it has done so too often.
    """

    may_repeat = True

    def __init__(
        self, message: str, *, retry_after: float | None = None, **about: Unpack[About]
    ) -> None:
        super().__init__(message, **about)
        self.retry_after = retry_after


class Unreachable(ProviderUnavailable):
    """No answer came.

    `sent` is False only where it is proved that no byte of the request left; then it is repeated by
    the client, a few times.
    """

    def __init__(self, message: str, *, sent: bool = True, **about: Unpack[About]) -> None:
        super().__init__(message, **about)
        self.sent = sent
        self.may_repeat = not sent
        self.charged = about.get("charged") or ("unknown" if sent else "no")


class NetworkUnusable(Unreachable):
    """Nothing can leave until somebody mends the settings.

    It is a certificate, a proxy or a host that nobody knows. No byte of the request left, and a
    batch stops.
    """

    stops_batch = True

    def __init__(self, message: str, **about: Unpack[About]) -> None:
        super().__init__(message, sent=False, **about)
        self.may_repeat = False


class BadAnswer(ProviderUnavailable):
    """An answer came that cannot be read.

    It is no JSON, too large, or of a shape nobody documented. About a look, it says nothing about
    the songs; a submit with such an answer is a `SubmitInDoubt`.
    """

    charged: Charged = "unknown"


class Blocked(ProviderUnavailable):
    """A gateway before the provider turns this client away.

    It would turn every other request away too, so a batch stops. Check the network, the proxy and
    the User-Agent; it says nothing about the key.
    """

    stops_batch = True


class TooManyDoubts(ProviderUnavailable):
    """The client's own limit of submits without an answer is reached (`max_in_doubt`).

    Nothing was sent. Find out what became of them, end the doubts, then ask again:

        for doubt in await client.doubts():
            await client.resolve(doubt.key, task_id="...")  # or resubmit=True, or abandon=True
    """

    stops_batch = True


class SubmitInDoubt(UdioError):
    """The request left, and no readable answer came back.

    The songs may be in the making and paid for. It is never sent again by itself. `evidence` says
    what was seen. Look at your account, then tell the client what you found:

        for doubt in await client.doubts():
            await client.resolve(doubt.key, task_id="...")  # or resubmit=True, or abandon=True
    """

    charged: Charged = "unknown"

    def __init__(self, message: str, *, evidence: str = "", **about: Unpack[About]) -> None:
        super().__init__(message, **about)
        self.evidence = evidence


class GenerationFailed(UdioError):
    """The provider accepted the request and then failed to make its songs.

    `songs` holds whatever did arrive, and songs that have a link although they are said to have
    failed: those have an `error`. Whether a failed request is refunded is documented by none of
    the providers, hence `charged` is "unknown". To ask again is a new request, and paid for as one:
    give it another key.

        try:
            songs = await client.generate("a song about rain")
        except GenerationFailed as error:
            songs = error.songs
    """

    charged: Charged = "unknown"

    def __init__(
        self, message: str, *, songs: "tuple[Song, ...]" = (), **about: Unpack[About]
    ) -> None:
        super().__init__(message, **about)
        self.songs = songs


class ModerationFailed(GenerationFailed):
    """The provider's content rules stopped it: change the words."""


class UpstreamFailed(GenerationFailed):
    """The provider or its model broke: the same may work later."""


class WaitExpired(UdioError):
    """The songs are still being made after the deadline.

    Nothing is lost: the task goes on at the provider. `client.resume()` or `job_key` leads to its
    songs later.

        try:
            songs = await client.generate("a song about rain")
        except WaitExpired as error:
            print("later:", error.job_key, error.task_id)
    """

    charged: Charged = "yes"


class DownloadFailed(UdioError):
    """The file is not here; the song is still at the provider.

    Download it again, as the message says: that costs nothing.

        try:
            await client.download(songs, "songs")
        except DownloadFailed as error:  # the other songs are saved
            print(error)
    """

    charged: Charged = "yes"


class NotAudio(DownloadFailed):
    """The link answered with something that is no audio."""


class Truncated(DownloadFailed):
    """The audio ended early, at each of several attempts."""


class NotServedYet(DownloadFailed):
    """The song was completed moments ago; its file is not served yet.

    Download it again in a few minutes.
    """


class LinkExpired(DownloadFailed):
    """The link is no longer served, and the provider has no other."""


class JournalError(UdioError):
    """The journal cannot be trusted, so nothing more is submitted.

    What was accepted before is still being made. The message says what is wrong with the file, and
    carries the task's id if one could not be kept. Where something was to be kept about a job that
    is there, `charged` says what that job may have cost.
    """

    stops_batch = True


class AnotherAccount(JournalError):
    """The journal was made with another provider or API key.

    Nothing was changed. Use that key, or give the journal to the new key with `hand_over`.
    """


class DiskUnavailable(UdioError):
    """The folder for songs takes no files, so nothing is submitted.

    Nothing was sent. Make room there or allow writing; then ask again.
    """

    stops_batch = True


class ClientClosed(UdioError, RuntimeError):
    """The client was closed before this request left.

    Nothing was sent. It is also a `RuntimeError`.
    """


class CallbackRejected(UdioError):
    """A callback is forged or cannot be read.

    Nothing was changed.
    """

    def __init__(self, message: str, *, forged: bool = False, **about: Unpack[About]) -> None:
        super().__init__(message, **about)
        self.forged = forged
        """Whether it does not show the secret of its address."""


E = TypeVar("E", bound=UdioError)


def restated(error: E, message: str, **about: Unpack[About]) -> E:
    """Return a copy of an error, with another message and what `about` says.

    Its `__init__` is not called: that of an adapter's own class may want something else.
    """
    copy = type(error).__new__(type(error), message)
    copy.args = (message,)
    vars(copy).update(vars(error), **about)
    return copy
