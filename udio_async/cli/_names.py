"""Names and defaults for the help texts.

It imports nothing, so that `--help` is quick.
"""

SANDBOX = "sandbox"
SANDBOX_PORT = 8787
SANDBOX_SPEED = 60.0
SANDBOX_CREDITS = 100_000
"""Enough for 10,000 requests, so that no run ends with an empty account by accident."""
DEMO_SPEED = 10.0
"""Songs take about six seconds: long enough to watch, short enough to wait for."""

KEY_VARIABLES = {
    "udioapi-v1": "UDIOAPI_API_KEY",
    "udioapi-v2": "UDIOAPI_API_KEY",
    "apiframe": "APIFRAME_API_KEY",
}
"""Every provider, and the environment variable that its key comes from."""

SERVICES = (*KEY_VARIABLES, SANDBOX)
DEFAULT_SERVICE = "udioapi-v2"
FILE_WAIT = 180.0
"""Seconds that the file of a song that was completed just now is waited for."""
JOURNAL = "journal.db"
"""The name of a batch's journal in its directory."""
NO_SANDBOX = (
    "does not go with --provider sandbox, which forgets its songs when the command ends; start one "
    'with "udio-async sandbox" and give its address as --base-url'
)
"""Why a journal and a sandbox of the run itself exclude one another, after what was given."""
STATES = (
    "planned",
    "sending",
    "accepted",
    "refused",
    "not_sent",
    "in_doubt",
    "ready",
    "delivered",
    "failed",
    "abandoned",
    "forgotten",
)
"""The states of a job, in the order of its life."""
