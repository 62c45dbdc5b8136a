"""The process that `tests.kit.forks` forks: `python -m tests.kit.forking SOCKET MODULE IMPORTS...`.

It imports what the module needs, then waits for orders. For each it forks a keeper, and that forks
the child, which takes on what it was given and runs the module as `python -m MODULE` does. The
keeper says what became of it: only its parent can know.
"""

import importlib
import io
import json
import os
import pkgutil
import runpy
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any

MOST = 1_000_000
"""Bytes of an order."""


def import_all(names: Sequence[str]) -> None:
    """Import these, and all that is in them, but for programs: those are run."""
    for name in names:
        module = importlib.import_module(name)
        for inner in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{name}."):
            if not inner.name.endswith("__main__"):
                importlib.import_module(inner.name)


def next_child(orders: socket.socket) -> Mapping[str, Any] | None:
    """Wait for orders; return in each child with its own, and in this process at the end."""
    while True:
        text, descriptors, *_ = socket.recv_fds(orders, MOST, 4)
        if not text:
            return None
        if os.fork() == 0:
            orders.close()
            return keep(json.loads(text), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def keep(order: Mapping[str, Any], descriptors: Sequence[int]) -> Mapping[str, Any]:
    """Start the child, and return in it; the keeper tells its number and its end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *streams, told = descriptors
    child = os.fork()
    if child == 0:
        # As in one that is started in the foreground, however the tests were: under nohup, say.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        os.close(told)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        return order
    try:
        for descriptor in (0, 1, 2, *streams):  # or nobody would see that the child closes them
            os.close(descriptor)
        os.write(told, b"%d\n" % child)
        _, status = os.waitpid(child, 0)
        os.write(told, b"%d\n" % os.waitstatus_to_exitcode(status))
    finally:
        os._exit(0)


def take_on(order: Mapping[str, Any]) -> None:
    """Have the environment, the folder and the streams that were given, as Python begins."""
    os.environ.clear()
    os.environ.update(order["env"])
    os.chdir(order["cwd"])
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        before = getattr(sys, name)
        file = open(number, "wb" if number else "rb", closefd=False)  # noqa: SIM115 - as long as the process
        stream = io.TextIOWrapper(
            file,
            encoding=before.encoding,
            errors=before.errors,
            newline="\n",
            line_buffering=number == 2 or file.isatty(),
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def main() -> None:
    number, module, *names = sys.argv[1:]
    sys.argv[0] = "-m"  # so it is called until the module is found
    import_all(names)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for keepers
    with socket.socket(fileno=int(number)) as orders:
        order = next_child(orders)
    if order is not None:
        take_on(order)
        sys.argv[1:] = order["args"]
        runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
