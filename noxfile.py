"""What CI runs: `nox` runs all of it, `nox -s tests` only the suite."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import nox

nox.needs_version = ">=2026.4"
nox.options.default_venv_backend = "virtualenv"  # nox brings it; `venv` takes five seconds more
nox.options.sessions = ["lint", "typing", "tests"]

TOUCH_HTTP = [
    "tests/test_http.py",
    "tests/test_connection.py",
    "tests/test_user_client.py",
    "tests/test_client.py",
    "tests/providers/test_adding.py",
]
GATE = (  # before a release; docs/reliability.md has what came of it
    "tests.model.run --seeds 0:20000 --songs 50",
    "tests.fuzz.run --bodies 500000 --seed 1",
    "tests.leaks.run --looks 200000 --songs 10000",
    "tests.crash.kill --rounds 200 --seed 1 --library",
)
LONGER = (  # each by its name, such as `nox -s long -- planted`
    "tests.model.run --seeds 0:200000",
    "tests.planted.run",
    "tests.mutation.run --size 100 --seed 1",
    "tests.crash.kill --rounds 200 --seed 1",
    "tests.crash.inject --seed 1",
    "tests.crash.power --states 10000 --seed 1",
    "tests.callbacks.kill --rounds 60 --seed 1",
    "tests.callbacks.storm --deliveries 20000 --seed 1",
    "tests.journal.damage --cases 2000 --seed 1",
)
WORKERS = 2 * (os.cpu_count() or 1)  # many tests wait for a child, and leave their core to others
PROJECT = nox.project.load_toml("pyproject.toml")


def install(session: nox.Session, *groups: str, options: Sequence[str] = ()) -> None:
    """Install the package with all extras, and the named dependency groups."""
    wanted = nox.project.dependency_groups(PROJECT, *groups)
    session.install("-q", *options, "-e", ".[cli,sandbox,trio,tags,xlsx]", *wanted)


@nox.session
def tests(session: nox.Session) -> None:
    install(session, "tests")
    # Once, also where Python is told to write no bytecode: else each child would compile it anew.
    session.run("python", "-m", "compileall", "-q", "udio_async", "tests")
    pytest = ["python", "-m", "pytest", "-n", str(WORKERS), "--dist", "worksteal"]
    session.run(*pytest, *session.posargs)
    if not session.posargs:  # whatever touches the HTTP library, once more under its continuation
        session.run(*pytest, "-p", "tests.kit.alias_httpx2", *TOUCH_HTTP)


@nox.session
def long(session: nox.Session) -> None:
    """Run the four proofs of the gate side by side, or those that the arguments pick by name."""
    install(session, "tests")
    picked = [one for one in GATE + LONGER if any(word in one for word in session.posargs)]
    # Kills and looks mostly wait, and leave their core to the others.
    with ThreadPoolExecutor(1 if picked else len(GATE)) as pool:
        commands = [("python", "-m", *one.split()) for one in picked or GATE]
        for _ in pool.map(lambda words: session.run(*words), commands):
            pass


@nox.session
def lint(session: nox.Session) -> None:
    session.install("-q", *nox.project.dependency_groups(PROJECT, "lint"))
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")


@nox.session
def typing(session: nox.Session) -> None:
    # What is only read by the checkers need not be compiled, which takes longer than to unpack it.
    install(session, "typing", "benchmarks", options=["--no-compile"])
    session.install("-q", "--no-compile", "nox")
    checkers = ("mypy",), ("pyright", "--threads")
    with ThreadPoolExecutor() as pool:  # side by side, for mypy has but one core's work
        for _ in pool.map(lambda words: session.run(*words), checkers):
            pass
