"""The command line: `udio-async demo`, `generate`, `batch`, `resume`, `doubts` and others.

It needs the extra `cli`: `pip install "udio-async[cli]"`.
"""

import io
import sys
from collections.abc import Sequence
from importlib.util import find_spec

_NEEDED = ("click", "rich", "jinja2")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    0: all good. 1: something failed. 2: wrong usage or input, nothing was sent. 128 and the number
    of a signal, so 130 for Ctrl-C: interrupted.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f"error: the command line needs {' and '.join(missing)}; "
            'install it with: pip install "udio-async[cli]"\n'
        )
        return 2
    _never_fail_to_encode()
    from ._commands import run  # noqa: PLC0415 - click may be missing above

    return run(argv)


def _never_fail_to_encode() -> None:
    """Let a title that the terminal's encoding lacks cost a character, not the run."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
