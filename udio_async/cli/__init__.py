"""The command line: `udio-async demo`, `generate`, `batch`, `resume`, `doubts` and others.

It needs the extra `cli`: `pip install "udio-async[cli]"`. It is built on the library's public names
and nothing private, so whatever a command does a program can do as well.

From the outside in: `_commands` and `_journal_commands` have the options and help texts, `_one`,
`_many` and `_resume` the three commands that make songs, `_execute` and `_run` a run. `_input` and
its neighbours read files of requests, `_manifest` keeps `songs.jsonl`, and `_gallery` and `_report`
write pages. `_service` and `_address` see to it that requests and key go to the right service.
"""

import sys
from collections.abc import Sequence
from importlib.util import find_spec

from .. import _interrupt
from ._streams import usable_streams

_NEEDED = ("click", "rich", "jinja2")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    0: all good. 1: something failed. 2: wrong usage or input, nothing was sent. 128 and the number
    of a signal, so 130 for Ctrl-C: interrupted.
    """
    try:
        _interrupt.end()
        with usable_streams():  # before anything is opened
            return _run_command(argv)
    except KeyboardInterrupt:
        return _interrupt.tell()
    except RuntimeError as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # so 3.11 has it from `__set_name__`
            return _interrupt.tell()
        raise
    finally:
        _interrupt.finish()


def _run_command(argv: Sequence[str] | None) -> int:
    """Run the command, or say which extra is missing."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f"error: the command line needs {' and '.join(missing)}; "
            'install it with: pip install "udio-async[cli]"\n'
        )
        return 2
    from ._commands import run  # noqa: PLC0415 - click may be missing above

    return run(argv)
