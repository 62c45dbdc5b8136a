"""Orders to udioapi: the rules of its three "generate" pages.

One path, `POST /api/generate`, has two generations behind it. The older page ("Music Generation
API") takes the key as `token` in the body; the newer one ("POST /generate", with callbacks) takes
it as a header. `POST /api/v2/generate` has the newer page's rules, without a callback.
"""

import attrs

from ._bodies import RefusedError, flag, one_of, share, text
from ._tasks import JsonObject, Order

TOKEN_MODELS = ("chirp-v3.0", "chirp-v3.5", "udio-130", "udio-32")
MODELS = ("chirp-v3-5", "chirp-v4-0", "chirp-v4-5", "chirp-v4-5-plus", "chirp-v5", "chirp-v5-5")
TOO_LONG = "Topic too long."  # the older page, under "Common error scenarios"
TITLE_LIMIT = 80


@attrs.frozen
class Limits:
    """Characters that the fields of a model may have; None is not documented."""

    description: int | None
    lyrics: int | None
    style: int | None


_EARLY = Limits(description=400, lyrics=3000, style=200)
_LATER = Limits(description=None, lyrics=5000, style=1000)
LIMITS = {
    "chirp-v3-5": _EARLY,
    "chirp-v4-0": _EARLY,
    "chirp-v4-5": _LATER,
    "chirp-v4-5-plus": _LATER,
    "chirp-v5": Limits(description=None, lyrics=None, style=1000),  # v2 page only
    "chirp-v5-5": Limits(description=None, lyrics=None, style=None),
}


def read_token_order(body: JsonObject) -> Order:
    """Read a body of the older v1 page, the one with `token`.

    Raises:
        RefusedError: the page rules it out.
    """
    title, prompt, style = text(body, "title"), text(body, "prompt"), text(body, "style")
    description, model = text(body, "gpt_description_prompt"), text(body, "model")
    instrumental, _ = flag(body, "make_instrumental"), flag(body, "disable_callback")
    one_of(model, "model", TOKEN_MODELS)
    one_of(text(body, "cluster"), "cluster", ("default", "second"))
    # "custom_mode: This parameter exists only in the suno-v3 model."
    custom = flag(body, "custom_mode") and not model.startswith("udio-")
    _require(_needed_with_token(custom=custom, instrumental=instrumental), body)
    # The page gives no numbers; these are the ones of the chirp-v3 models elsewhere.
    if len(prompt) > 3000 or len(description) > 400:
        raise RefusedError(400, TOO_LONG)
    return Order(
        provider="udioapi-v1",
        prompt=prompt or style,
        request={name: value for name, value in body.items() if name != "token"},
        model=model or "chirp-v3.0",
        title=title,
        lyrics=prompt if custom else "",
        style=style or description,
        instrumental=instrumental,
    )


def _needed_with_token(*, custom: bool, instrumental: bool) -> tuple[str, ...]:
    """Return the fields that have to be there, by the table "Custom Mode"."""
    if not custom:
        return ("prompt",)
    return ("style", "title") if instrumental else ("style", "prompt", "title")


def read_callback_order(body: JsonObject) -> Order:
    """Read a body of the newer v1 page, the one with a callback.

    The real service refuses addresses that are not public; this one lives on localhost and does
    not.

    Raises:
        RefusedError: the page rules it out.
    """
    if not text(body, "callback_url"):
        raise RefusedError(400, "callback_url is required")
    return _read_order(body, "udioapi-v1")


def read_v2_order(body: JsonObject) -> Order:
    """Read a body of the v2 page.

    Raises:
        RefusedError: the page rules it out.
    """
    return _read_order(body, "udioapi-v2")


def _read_order(body: JsonObject, provider: str) -> Order:
    """Read a body of the newer pages."""
    description, lyrics = text(body, "gpt_description_prompt"), text(body, "prompt")
    if not description and not lyrics:
        raise RefusedError(400, "gpt_description_prompt or prompt is required")
    model = text(body, "model") or "chirp-v3-5"
    _check_common(body, model)
    return Order(
        provider=provider,
        prompt=description or lyrics,
        request=dict(body),
        model=model,
        title=text(body, "title"),
        lyrics="" if description else lyrics,  # a description selects inspiration mode
        style=text(body, "style"),
        instrumental=flag(body, "make_instrumental"),
    )


def _check_common(body: JsonObject, model: str) -> None:
    """Refuse what both newer pages rule out."""
    one_of(model, "model", MODELS)
    one_of(text(body, "gender"), "gender", ("male", "female"))
    text(body, "tags")
    limits = LIMITS[model]
    _check_length(body, "gpt_description_prompt", limits.description)
    _check_length(body, "prompt", limits.lyrics)
    _check_length(body, "style", limits.style)
    _check_length(body, "title", TITLE_LIMIT)
    for name in ("style_weight", "weirdness_constraint", "audio_weight"):
        weight = share(body, name)
        if weight is not None and round(weight, 2) != weight:
            raise RefusedError(400, f"{name} must have at most 2 decimals")


def _check_length(body: JsonObject, name: str, limit: int | None) -> None:
    if limit is not None and len(text(body, name)) > limit:
        raise RefusedError(400, f"{name} must be at most {limit} characters")


def _require(names: tuple[str, ...], body: JsonObject) -> None:
    """Refuse a body in which one of these fields is missing."""
    for name in names:
        if not text(body, name):
            raise RefusedError(400, f"{name} is required")
