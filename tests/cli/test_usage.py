"""Help, wrong usage, and the sandbox as a server."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

import udio_async.cli
from udio_async.cli._commands import cli, run
from udio_async.cli._names import KEY_VARIABLES, SANDBOX_CREDITS
from udio_async.providers import PROVIDERS
from udio_async.sandbox._kinds import ALL
from udio_async.sandbox._world import COSTS, CREDITS

from .conftest import Child, environment, run_cli

COMMANDS = ("generate", "batch", "resume", "doubts", "resolve", "audit", "credits", "demo")


def test_help() -> None:
    """The program's own help names every command and the exit codes."""
    ended = run_cli("--help")
    assert (ended.code, ended.err) == (0, "")
    for word in (*COMMANDS, "sandbox", "130", "UDIOAPI_API_KEY"):
        assert word in ended.out


@pytest.mark.parametrize("command", [*COMMANDS, "sandbox"])
def test_help_of_a_command(command: str) -> None:
    """Every command has help, 80 columns wide, and no option that takes a key."""
    result = CliRunner().invoke(cli, [command, "--help"], prog_name="udio-async")
    assert result.exit_code == 0
    assert max(map(len, result.output.splitlines())) <= 80
    assert "--api-key" not in result.output


def test_no_command(capfd: pytest.CaptureFixture[str]) -> None:
    """Without a command it shows the help, as wrong usage."""
    assert run([]) == 2
    assert "Commands:" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("http://127.0.0.1:9", "; nothing was sent. Check --base-url and the network"),
        ("https://x.invalid", "; nothing was sent. Check the name of the host, and the network"),
    ],
)
def test_a_service_that_cannot_be_reached(url: str, remedy: str) -> None:
    """It is named, with what to look at."""
    ended = run_cli("credits", "--base-url", url)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("error: udioapi-v2 cannot be reached: GET ")
    assert ended.err.endswith(f"{remedy}\n")


@pytest.mark.parametrize("command", ["jobs", "resume", "verify", "report", "gallery"])
def test_a_folder_that_is_not_there(command: str, tmp_path: Path) -> None:
    """Each command says it in one line."""
    ended = run_cli(command, tmp_path / "nowhere")
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["nope"], "No such command 'nope'"),
        (["credits", "--provider", "sunno"], "'udioapi-v1', 'udioapi-v2', 'apiframe', 'sandbox'"),
        (["credits", "--legacy"], "--legacy goes with --provider udioapi-v1 only"),
        (["credits", "--provider", "sandbox", "--base-url", "http://x"], "a sandbox of its own"),
        (["credits", "--base-url", "x"], "--base-url 'x'"),
        (["generate"], 'say what the song is about: generate "rain", or give --lyrics'),
        (["generate", "--description", "x"], 'is the argument TEXT: generate "rain"'),
        (["jobs", __file__], f"'{__file__}' is a file; give a folder"),
        (["jobs", ".", "--journal", "."], "'.' is a folder; give a file"),
        (["generate", "--lyrics", "/nowhere"], "No such file"),
        (["batch", "/nowhere", "--out", "x"], "No such file"),
        (["batch", "-"], "--out"),
        (["generate", "Rain", "--out", "/dev/null/x"], "cannot write to /dev/null/x"),
        (["generate", "Rain", "--out", ""], "'--out': is empty; give a path, or . for"),
        (["generate", "Rain", "--journal", ""], "'--journal': is empty"),
        (["verify", ""], "is empty; give a path"),
        (["demo", "--out", "/dev/null"], "/dev/null"),
        (["demo", "--speed", "0"], "--speed"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage(
    args: list[str],
    words: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is one readable line that begins with "error: ", and exit 2."""
    monkeypatch.setenv("UDIOAPI_API_KEY", "key")
    assert run(args) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert words in err


NO_NUMBERS = {
    "nan": "'nan' is not a ",
    "-inf": "'-inf' is not a ",
    "Infinity": "'Infinity' is not a ",
    "1e308": "1e308",
    "1e999": "1e999",
    "9" * 5000: "9...' is not a ",
    "0": "0 is not above 0; give one such as 2",
    "-3": "-3 is not above 0",
    "2,5": "'2,5' is not a ",
    "1_000": "1000 without marks",
    "12 credits": "'12 credits' is not a ",
    "": "'' is not a ",
}
NUMBERS = (
    ("batch", "x", "--out", "y", "--max-credits"),
    ("batch", "x", "--out", "y", "--max-active"),
    ("resume", "y", "--max-submits"),
    ("generate", "x", "--price"),
    ("credits", "--speed"),
    ("audit", "y", "--price"),
    ("demo", "--speed"),
    ("sandbox", "--speed"),
    ("sandbox", "--port"),
)


@pytest.mark.parametrize("text", NO_NUMBERS, ids=lambda text: text[:9])
@pytest.mark.parametrize("args", NUMBERS, ids=lambda args: f"{args[0]} {args[-1]}")
def test_what_is_no_number_is_refused(
    args: tuple[str, ...], text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """One line that names the option and the value, and nothing switches a limit off."""
    if args[-1] == "--port" and text == "0":  # takes a free one
        return
    assert run([*args, text]) == 2
    error = capfd.readouterr().err.splitlines()[0]
    assert error.startswith(f"error: Invalid value for '{args[-1]}': ")
    if text != "-3" or args[-1] != "--port":
        assert NO_NUMBERS[text] in error
    assert len(error) < 150


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("2,5", "write 2.5 with a point"),
        ("1,000", "write 1.000 with a point or 1000 without marks"),
        ("1,000.5", "write 1000.5 without marks"),
        ("1.000,5", "give one such as 2.5"),
    ],
)
def test_another_spelling_of_a_number_is_explained(
    text: str, remedy: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Both readings, where there are two: one of them would be a thousand times the other."""
    assert run(["generate", "x", "--max-credits", text]) == 2
    assert f"'{text}' is not a number; {remedy}\n" in capfd.readouterr().err


@pytest.mark.parametrize(("provider", "variable"), KEY_VARIABLES.items())
def test_a_missing_key(
    provider: str,
    variable: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The message names the variable to set."""
    monkeypatch.delenv(variable, raising=False)
    assert run(["credits", "--provider", provider]) == 2
    assert f"set the environment variable {variable}" in capfd.readouterr().err


def test_a_key_that_is_none(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the variable and does not show what is in it."""
    monkeypatch.setenv("UDIOAPI_API_KEY", "se cret")
    assert run(["credits"]) == 2
    err = capfd.readouterr().err
    assert "UDIOAPI_API_KEY" in err
    assert "se cret" not in err


def test_the_providers_of_the_library_are_those_of_the_help() -> None:
    """The names are written down twice, because the help must not import the providers."""
    assert KEY_VARIABLES.keys() == PROVIDERS.keys()


def test_the_missing_extra(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without click and rich the command says how to get them."""
    monkeypatch.setattr(udio_async.cli, "find_spec", lambda _: None)
    assert udio_async.cli.main(["demo"]) == 2
    assert 'pip install "udio-async[cli]"' in capfd.readouterr().err


def test_the_missing_sandbox_extra(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without starlette the demo says how to get it."""
    monkeypatch.setitem(sys.modules, "udio_async.sandbox", None)
    assert run(["demo", "--out", str(tmp_path)]) == 2
    assert 'pip install "udio-async[sandbox]"' in capfd.readouterr().err


def test_sandbox_takes_faults_a_plan_and_credits(start_cli: Callable[..., Child]) -> None:
    """Every second request is refused, what is stuck takes the plan's only place, and credits end.

    A shell that was not told the speed looks as often as the sandbox is fast.
    """
    options = ("--at-once", 1, "--credits", 25, "--fault", "refused@2", "--speed", 1000)
    server = start_cli("sandbox", "--port", 0, *options)
    url = server.next_line().removeprefix("Sandbox at ").split(",")[0]
    env = environment(UDIOAPI_API_KEY="sandbox")
    at = ("--provider", "udioapi-v2", "--base-url", url)
    ends = [run_cli("generate", "Rain", *at, env=env) for _ in range(5)]
    assert [ended.code == 0 for ended in ends] == [True, False, True, False, False]
    assert "nsufficient credits" in ends[-1].err
    server.interrupt()
    assert server.end().code == 0


def test_help_of_the_sandbox_lists_the_faults() -> None:
    """Each one there is; the account is for 10,000 requests unless told otherwise."""
    ended = run_cli("sandbox", "--help")
    missing = [kind.written for kind in ALL.values() if f"  {kind.written}  " not in ended.out]
    assert missing == []
    assert SANDBOX_CREDITS == CREDITS >= 10_000 * max(COSTS.values())


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("nope", "No such fault 'nope'; known: cancelled, "),
        ("message", "No such fault 'message'"),
        ("cut@0", "every is 0; give a whole number, at least 1"),
    ],
)
def test_a_fault_that_cannot_be_is_refused(fault: str, words: str) -> None:
    ended = run_cli("sandbox", "--port", 0, "--fault", fault)
    assert ended.code == 2
    assert f"--fault {fault}: {words}" in ended.err


@pytest.mark.parametrize("host", ["nohost.invalid", "no..host", ""])
def test_a_host_that_cannot_be_is_refused(host: str) -> None:
    ended = run_cli("sandbox", "--host", host, "--port", 0)
    assert ended.code == 2
    assert f"--host is {host!r}" in ended.err
    assert "; give an address of this machine: " in ended.err


def test_help_of_the_sandbox_without_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says how to get the list."""
    monkeypatch.setitem(sys.modules, "udio_async.sandbox", None)
    result = CliRunner().invoke(cli, ["sandbox", "--help"], prog_name="udio-async")
    assert result.exit_code == 0
    assert 'pip install "udio-async[sandbox]"' in " ".join(result.output.split())


def test_sandbox_serves_until_interrupted(start_cli: Callable[..., Child], tmp_path: Path) -> None:
    """Its lines can be copied as they are; Ctrl-C ends it with exit 0; a taken port is an error."""
    server = start_cli("sandbox", "--port", 0, "--speed", 200)
    url = server.next_line().removeprefix("Sandbox at ").split(",")[0]
    copied = [server.next_line().strip() for _ in range(7)]
    assert copied[2] == "export UDIOAPI_API_KEY=sandbox APIFRAME_API_KEY=sandbox"
    assert copied[3].endswith("\\")
    env = environment(UDIOAPI_API_KEY="sandbox")
    ended = run_cli("generate", "Rain", *copied[4].split(), env=env)
    assert (ended.code, len(ended.lines)) == (0, 2), ended.err
    taken = run_cli("sandbox", "--port", url.rpartition(":")[2])
    assert taken.code == 2
    assert taken.err.startswith("error: cannot listen on 127.0.0.1:")
    server.interrupt()
    ended = server.end()
    assert (ended.code, ended.err) == (0, "")


def test_the_help_loads_little() -> None:
    """It is shown while a user waits: without the library, its loop and its HTTP."""
    program = (
        "import sys; from udio_async.cli import main; code = main(['--help']); "
        "print(*({'httpx', 'anyio', 'cattrs', 'rich', 'jinja2'} & sys.modules.keys())); "
        "sys.exit(code)"
    )
    child = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30
    )
    assert child.stdout.splitlines()[-1] == ""
