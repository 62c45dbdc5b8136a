"""What to do about a song or a request that failed, by the name of its error."""

LET_GO = "You have let it go: nothing is done about it any more."
"""About a doubt that its owner has ended so."""
_ADVICE = {
    "ModerationFailed": "Change the words and ask again.",
    "UpstreamFailed": "Ask again later.",
    "GenerationFailed": "Ask again, perhaps with other words.",
    "InvalidRequest": "Mend the request and ask again.",
    "UnsupportedOption": "Leave the option out, or ask another provider.",
    "RequestRefused": "Change the request and ask again.",
    "AuthenticationFailed": "Check the key and run it again.",
    "InsufficientCredits": "Buy credits and run it again.",
    "PermissionDenied": "See what your plan allows.",
    "SpendLimitReached": "Run it again with a higher limit.",
    "RateLimited": "Run it again later.",
    "Unreachable": "Run it again later.",
    "SubmitInDoubt": "Look at your account, then end the doubt with `udio-async resolve`.",
    "TooManyDoubts": "End the doubts with `udio-async resolve`, then run it again.",
    "DiskUnavailable": "Make room, or allow us to write there, and run it again.",
    "NotSaved": "Make room, or allow us to write there, and run `udio-async resume`.",
    "WaitExpired": "Run `udio-async resume`: the song may be done by now.",
    "LinkExpired": "Run `udio-async resume`: it asks for a new link.",
}
NOT_HERE = "Run `udio-async resume`: what is paid for is not paid for twice."
_OF_A_LOOK = "Look for it in your account before you ask again."
"""Where a request was refused after it may have been paid for."""


def advise(kind: str, charged: str) -> str:
    """Return the advice about an error of this name, by what is known of the money."""
    if kind == "RequestRefused" and charged != "no":
        return _OF_A_LOOK
    other = "Run it again." if charged == "no" else NOT_HERE
    return _ADVICE.get(kind, other)
