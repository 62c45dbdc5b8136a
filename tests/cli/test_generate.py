"""`udio-async generate` and `udio-async credits`."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from udio_async.cli._text import amount, as_typed
from udio_async.sandbox import Sandbox

from .conftest import SPEED, Bench, Ended, run_cli


def test_every_option_reaches_the_provider(bench: Bench, tmp_path: Path) -> None:
    """Lyrics come from stdin; without --out nothing is saved."""
    options = ["--lyrics", "-", "--style", "pop", "--title", "Rain", "--negative-tags", "sad"]
    more = ["--model", "chirp-v5", "--gender", "female"]
    ended = run_cli("generate", *options, *more, *bench.at, stdin="La la, λ".encode())
    assert ended.code == 0, ended.err
    assert [line["path"] for line in ended.lines] == [None, None]
    assert [line["title"] for line in ended.lines] == ["Rain", "Rain"]
    assert "line" not in ended.lines[0]
    body = bench.sandbox.ledger[-1].request
    assert {
        name: body[name] for name in ("prompt", "style", "title", "tags", "model", "gender")
    } == {
        "prompt": "La la, λ",
        "style": "pop",
        "title": "Rain",
        "tags": "sad",
        "model": "chirp-v5",
        "gender": "female",
    }


def test_a_failed_generation(bench: Bench, call_cli: Callable[..., Ended], tmp_path: Path) -> None:
    """It is one line on stderr, one object on stdout, and exit 1."""
    ended = call_cli("generate", "Something forbidden", "--out", tmp_path, "--quiet", *bench.at)
    assert ended.code == 1
    assert len(ended.lines) == 1
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1


def test_a_request_that_the_provider_cannot_take(
    bench: Bench, call_cli: Callable[..., Ended]
) -> None:
    """It is refused here: exit 2, nothing sent."""
    ended = call_cli("generate", "Rain", "--title", "Rain", *bench.at)
    assert (ended.code, ended.out, bench.charged) == (2, "", [])
    assert "title only together with lyrics" in ended.err


def test_the_in_process_sandbox_needs_nothing(tmp_path: Path) -> None:
    """`--provider sandbox` works without a key, and saves."""
    out = tmp_path / "songs"
    ended = run_cli(
        "generate", "Rain", "--provider", "sandbox", "--speed", 100, "--out", out, env={"PATH": ""}
    )
    assert ended.code == 0, ended.err
    assert sorted(out.iterdir()) == sorted(Path(line["path"]) for line in ended.lines)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_credits(backend: str, bench: Bench, call_cli: Callable[..., Ended]) -> None:
    """What is left, as the sandbox counts it."""
    args = ("credits", "--json", "--provider", "apiframe", "--backend", backend)
    ended = call_cli(*args, *bench.at)
    assert ended.code == 0, ended.err
    (answer,) = ended.lines
    assert answer.keys() == {"provider", "remaining", "used", "plan"}
    assert answer["provider"] == "apiframe"
    assert answer["remaining"] > 0


def test_credits_are_written_out(
    run_sandbox: Callable[..., AbstractContextManager[Sandbox]],
    call_cli: Callable[..., Ended],
    tmp_path: Path,
) -> None:
    """All their digits, wherever they are shown, and as they can be typed where that is meant."""
    path = tmp_path / "in.txt"
    path.write_text("one\ntwo\n")
    with run_sandbox(credits=1_234_567) as sandbox:
        at = ("--base-url", sandbox.base_url, "--speed", SPEED)
        assert "1,234,567 credits left" in call_cli("credits", *at).out
        limits = ("--price", "1234567.5", "--max-credits", "2500000")
        planned = call_cli("batch", path, "--out", tmp_path, *at, *limits)
        assert "2 to submit, about 2,469,135 credits" in planned.err
        assert "about 2,469,135\n" in planned.err
        audit = call_cli("audit", tmp_path, *at, "--price", "1234567.5")
        assert "1,234,567.5 a request, so 2,469,135 credits expected" in audit.out
        assert "2,469,115 credits less" in audit.out


def test_amounts_lose_nothing_but_rounding() -> None:
    amounts = (1234567, 0.1 + 0.2, 12.5, 0, -0.0, 1e12, 0.000001)
    shown = ["1,234,567", "0.3", "12.5", "0", "0", "1,000,000,000,000", "0.000001"]
    assert [amount(number) for number in amounts] == shown
    assert [as_typed(number) for number in (60.0, 1234567.0, 0.5)] == ["60", "1234567", "0.5"]


def test_credits_with_a_wrong_key(
    bench: Bench, call_cli: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the library is one line, and exit 1."""
    monkeypatch.setenv("UDIOAPI_API_KEY", "wrong-key-4711")
    ended = call_cli("credits", *bench.at)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("error: ")
    assert "wrong-key-4711" not in ended.err
