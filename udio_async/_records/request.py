"""What to generate."""

import copy
from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from .._errors import InvalidRequest
from .._validators import check_awaited, yes_or_no

VocalGender = Literal["male", "female"]
_UNSAID: tuple[object, ...] = (None, False, {})
"""Values that say nothing: what a field of a request has if it is left out."""
_SHOWN = 40
"""Characters of a text that messages show."""


def _meaningful(_request: object, field: "attrs.Attribute[str | None]", value: object) -> None:
    """Refuse text that is empty or that no provider could store.

    That is NUL and lone surrogates.
    """
    if value is None:
        return
    if not isinstance(value, str):
        raise InvalidRequest(f"{field.name} is {type(value).__name__} {value!r}; give text")
    if not value.strip():
        raise InvalidRequest(f"{field.name} is empty; leave it out or give some text")
    bad = next((char for char in value if char == "\0" or "\ud800" <= char <= "\udfff"), None)
    if bad is not None:
        raise InvalidRequest(
            f"{field.name} contains {bad!r}, which is no text; remove it before sending"
        )


def _gender(_request: object, field: "attrs.Attribute[Any]", value: object) -> None:
    """Refuse any voice but the two that providers know."""
    if value not in (None, "male", "female"):
        raise InvalidRequest(f"{field.name} is {value!r}; known: 'male', 'female'")


def _wire_fields(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a copy that nobody else can change: a loop may fill its dict again.

    Raises:
        InvalidRequest: it is no JSON object, whose fields have names, or it cannot be copied.
    """
    given: object = value  # not every caller has their types checked
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise InvalidRequest(f"extra is {value!r}; give wire fields by name")
    if not value:
        return {}
    try:
        return copy.deepcopy(dict(value))
    except Exception as error:  # a lock, an open file, lists nested a thousand deep
        raise InvalidRequest(
            f"extra cannot be copied: {error}; give texts, numbers, lists and dicts of them"
        ) from error


def _job_key(_request: object, field: "attrs.Attribute[str | None]", value: object) -> None:
    """Refuse a key that journals and command lines could not show."""
    name = value.partition(" (attempt ")[0] if isinstance(value, str) else ""
    if value is not None and not (name and str(value).isprintable() and len(name) <= 200):
        raise InvalidRequest(f"{field.name} is {value!r}; give 1 to 200 printable characters")


@attrs.frozen
class ProviderOptions:
    """Options that only one provider knows; each has its own subclass.

    Their values must not be able to change: texts, numbers, tuples.
    """


def _provider_options(
    _request: object, field: "attrs.Attribute[ProviderOptions | None]", value: object
) -> None:
    if value is not None and not isinstance(value, ProviderOptions):
        raise InvalidRequest(
            f"{field.name} is {value!r}; give UdioApiOptions(...) or ApiframeOptions(...)"
        )


@attrs.frozen(kw_only=True, repr=False)
class SongRequest:
    """A request for songs, whichever provider makes them.

    One request usually gives two songs, and is paid for once. It needs `description` (the provider
    writes the lyrics) or `lyrics` (your own); which of the other fields go with which is the
    provider's rule, checked before anything is sent.

        SongRequest(description="a song about rain", instrumental=True)
        SongRequest(lyrics="[Verse] Rain again", style="folk", title="Rain", key="rain-1")

    It is a frozen value: the same object may be submitted as often as you like.

    Raises:
        InvalidRequest: for an empty or impossible field. Nothing is ever sent for it.
    """

    description: str | None = attrs.field(default=None, validator=_meaningful)
    """What the song is about."""
    lyrics: str | None = attrs.field(default=None, validator=_meaningful)
    """The words to sing. On udioapi they exclude `description`."""
    style: str | None = attrs.field(default=None, validator=_meaningful)
    """Genre, mood, tempo: "pop, upbeat, 120 bpm"."""
    title: str | None = attrs.field(default=None, validator=_meaningful)
    """The song's name. apiframe has none: there it is only kept on the `Song`."""
    negative_tags: str | None = attrs.field(default=None, validator=_meaningful)
    """What to avoid: "sad, slow". Called `tags` by udioapi, `negative_prompt` by apiframe."""
    instrumental: bool = attrs.field(default=False, validator=yes_or_no)
    """True for music without a voice."""
    model: str | None = attrs.field(default=None, validator=_meaningful)
    """A model name as the provider spells it, known to us or not; None takes its default."""
    vocal_gender: VocalGender | None = attrs.field(default=None, validator=_gender)
    """The voice, "male" or "female"; None leaves it to the provider."""
    options: ProviderOptions | None = attrs.field(default=None, validator=_provider_options)
    """`UdioApiOptions` or `ApiframeOptions`, for what only that provider knows."""
    extra: Mapping[str, Any] = attrs.field(factory=dict, converter=_wire_fields, hash=False)
    """Raw wire fields, sent as they are and over ours: for what is newer than this library. The
    request has a copy of its own, so the same dict may be filled again for the next one."""

    key: str | None = attrs.field(default=None, validator=_job_key)
    """A name of your own for this job: the same key is the same job, and is paid for once."""

    def __repr__(self) -> str:
        """Show what was given: most fields have their default value, None."""
        fields = attrs.fields(type(self))
        values = {field.name: getattr(self, field.name) for field in fields if field.repr}
        given = (f"{name}={value!r}" for name, value in values.items() if value not in _UNSAID)
        return f"{type(self).__name__}({', '.join(given)})"

    def __attrs_post_init__(self) -> None:
        if self.description is None and self.lyrics is None and not self.extra:
            raise InvalidRequest("the request has neither description nor lyrics; give one of them")

    def as_json(self) -> dict[str, Any]:
        """Return what is asked for as plain JSON, without the key.

        Equal requests give equal JSON: fields with their default value are left out.
        """
        values = {
            field.name: value
            for field in attrs.fields(type(self))
            if field.name not in ("key", "options", "extra")
            and (value := getattr(self, field.name)) != field.default
        }
        if self.options is not None:
            known = attrs.asdict(self.options)
            values["options"] = {name: value for name, value in known.items() if value is not None}
        return {**values, "extra": dict(self.extra)} if self.extra else values

    @classmethod
    def from_json(cls, data: Mapping[str, Any], options: type[ProviderOptions]) -> Self:
        """Return the request that `as_json` described.

        Args:
            data: what `as_json` returned, perhaps in an earlier run.
            options: the class of the provider's options, `provider.traits.options`.

        Raises:
            InvalidRequest: it describes no request, or has fields that this version does not know.
        """
        values = dict(data)
        try:
            if "options" in values:
                values["options"] = options(**values["options"])
            return cls(**values)
        except TypeError as error:
            # Not with the data: there may be a secret among the options.
            raise InvalidRequest(f"the JSON describes no request: {error}") from error


@attrs.frozen(kw_only=True)
class PartialRequest(SongRequest):
    """What can be read of a request that a journal has from a program with options of its own.

    Or from a later version of this library. It counts as the request that was kept, so its job goes
    on, and its songs are handed out; but it is never submitted, as something would be missing.
    """

    kept: Mapping[str, Any] = attrs.field(hash=False, repr=False)
    """The whole of it, as it is in the journal."""
    why: InvalidRequest = attrs.field(eq=False, repr=False)
    """Why it cannot be submitted."""

    def as_json(self) -> dict[str, Any]:
        """Return the whole request, as it was kept."""
        return dict(self.kept)

    @classmethod
    def of(cls, kept: Mapping[str, Any], why: InvalidRequest, *, key: str) -> Self:
        """Return what can be read of a request: its words, or that it is the one of this job."""
        names = {field.name for field in attrs.fields(SongRequest)} - {"key", "options"}
        words = {name: value for name, value in kept.items() if name in names}
        try:
            return cls(**words, kept=kept, why=why, key=key)
        except InvalidRequest:
            return cls(description=f"job {key}", kept=kept, why=why, key=key)


def as_request(request: object, *, name: str = "the request") -> SongRequest:
    """Return a request, also where only its words are given; `name` is for the message.

    Raises:
        InvalidRequest: it is neither.
    """
    if isinstance(request, SongRequest):
        return request
    if isinstance(request, str):
        return SongRequest(description=request)
    check_awaited(request)
    remedy = "SongRequest(**…)" if isinstance(request, Mapping) else "a SongRequest"
    raise InvalidRequest(f"{name} is {shown(request)}; give {remedy} or a text")


def shown(value: object) -> str:
    """Return what a wrong argument is, for a message: its class, and how it begins.

    The whole of it would bury the remedy, and objects may hold secrets: only texts, numbers and the
    words of a request are shown.
    """
    if value is None or isinstance(value, (str, bytes, int, float)):
        return _beginning(value)
    kind = type(value).__name__
    article = "an" if kind[0].lower() in "aeio" else "a"  # a User, an Outcome
    words = ""
    if isinstance(value, SongRequest):
        name = "lyrics" if value.description is None else "description"
        words = f" ({name}={_beginning(getattr(value, name))})"
    return f"{article} {kind}{words}"


def _beginning(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 2]}…{text[-1]}"


def check_name(name: str, value: object) -> None:
    """Refuse what can name no job and no task: anything but text that can be printed.

    Half a character, as a damaged JSON text or command line gives, is none.

    Raises:
        InvalidRequest: the message has `name` and the value.
    """
    if not isinstance(value, str) or not value.strip() or not value.strip().isprintable():
        raise InvalidRequest(f"{name} is {value!r}; give it whole, as text that can be printed")
