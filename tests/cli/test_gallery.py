"""`index.html`: what it shows, what it does in a browser, and what hostile songs cannot do."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.kit.browser import CHROMIUM, Page, open_browser
from udio_async.cli._gallery import write_gallery
from udio_async.cli._manifest import MANIFEST
from udio_async.sandbox import Sandbox

from .conftest import SPEED, Ended, run_cli

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on the PATH")
SONG: dict[str, Any] = {"provider": "udioapi-v2", "task_id": "t1", "id": "s1", "index": 0}
FAILED: dict[str, Any] = {
    "provider": "apiframe",
    "task_id": "t9",
    "error": {"type": "ModerationFailed", "message": "a forbidden word", "charged": "no"},
}
HOSTILE = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(2)>",
    "</title></style></noscript></textarea><svg onload=alert(3)>",
    "\"><img src=x onerror='alert(4)'>",
    "' onmouseover='alert(5)' x='",
    "javascript:alert(6)",
    "{{ 7 * 7 }} {% include '/etc/passwd' %}",
    "<!-- --!> <![CDATA[ &lt;b&gt; \u202e \x1b[31m",
]
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d494844520000000100000001080600000"
    "01f15c4890000000d49444154789c63f8cfc0f01f0005000"
    "1ff89993d1d0000000049454e44ae426082"
)


def write(directory: Path, *lines: dict[str, Any]) -> Path:
    """Write a manifest and the gallery of it; the files of its songs are empty."""
    directory.mkdir(exist_ok=True)
    for line in lines:
        if line.get("path") and not (directory / line["path"]).exists():
            (directory / line["path"]).touch()
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    (directory / MANIFEST).write_text(text, encoding="utf-8")
    return write_gallery(directory)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """One browser for all tests."""
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def real(
    run_sandbox: Callable[..., AbstractContextManager[Sandbox]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The gallery of songs from a sandbox, with a cover and a failed request."""
    directory = tmp_path_factory.mktemp("real")
    with run_sandbox() as sandbox:
        at = ("--base-url", sandbox.base_url, "--speed", SPEED)
        texts = ("A song about rain", "A song about snow")
        ended = [run_cli("generate", text, "--out", directory, *at) for text in texts]
    lines = [line for each in ended for line in each.lines]
    (directory / "cover 1.png").write_bytes(PNG)
    for line in lines:
        line["path"] = Path(line["path"]).name
    lines[0] |= {"title": "Ärger im Café", "cover": "cover 1.png"}
    lines[1] |= {"title": "Snow", "asked": "something cold"}
    return write(directory, *lines, FAILED)


def shown(page: Page) -> list[str]:
    """The titles that can be seen, in order."""
    titles: list[str] = page.run(
        "[...document.querySelectorAll('.card:not([hidden]) h3')].map((e) => e.textContent)"
    )
    return titles


def choose(page: Page, name: str, value: str, event: str) -> None:
    """Set a field as its user would."""
    page.run(
        f"(() => {{ const e = document.getElementById({json.dumps(name)});"
        f"e.value = {json.dumps(value)}; e.dispatchEvent(new Event({json.dumps(event)})) }})()"
    )


def test_the_command_writes_it_beside_the_songs(
    call_cli: Callable[..., Ended], tmp_path: Path
) -> None:
    """Again and again; nothing half-written stays."""
    path = write(tmp_path, SONG)
    path.write_text(path.read_text().replace("<h1>", "<h1>Old "))
    ended = call_cli("gallery", tmp_path)
    assert (ended.code, ended.out) == (0, f"{path}\n")
    assert "<h1>Old " not in path.read_text()
    assert path.read_text().endswith("</html>")
    assert {file.name for file in tmp_path.iterdir()} == {MANIFEST, path.name}


def test_a_failed_write_leaves_the_old_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, SONG)
    old = path.read_text()
    monkeypatch.setattr("os.fsync", _no_space)
    with pytest.raises(OSError, match="No space"):
        write_gallery(tmp_path)
    assert path.read_text() == old
    assert not list(tmp_path.glob("*.part"))


def _no_space(_descriptor: int) -> None:
    raise OSError(28, "No space left on device")


def test_it_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    """No remote cover, no remote audio, no tracking: only files beside the page."""
    remote = {"image_url": "https://x.example/a.png", "audio_url": "https://x.example/a.mp3"}
    text = write(tmp_path, {**SONG, **remote, "path": "a.mp3"}).read_text()
    assert "://" not in text
    links = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert {link for link in links if not link.startswith(("#", "./"))} == set()


def test_every_song_and_every_failure_is_told(tmp_path: Path) -> None:
    """With what was asked for, why it failed, what to do, and whether it was paid for."""
    timeline = {"accepted_at": 1_795_235_000}
    text = write(
        tmp_path,
        {**SONG, "title": "A", "tags": "folk", "model": "m1", "lyrics": "la", "duration": 185},
        {**SONG, "id": "s2", "index": 1, "title": "B", "path": "b.mp3", "timeline": timeline},
        {**FAILED, "asked": "a rude song"},
    ).read_text()
    for words in ("folk", "m1", "la</p>", "3:05", "2026-11-2", "a rude song", "a forbidden word"):
        assert words in text
    for words in ("Change the words", "Nothing was charged", "It was not saved"):
        assert words in text
    assert "A (1\xa0of\xa02)" in text


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    """Not offered to be played."""
    path = write(tmp_path, {**SONG, "path": "a.mp3"})
    (tmp_path / "a.mp3").unlink()
    assert "a.mp3 is missing" in write_gallery(tmp_path).read_text()
    assert 'class="play"' not in path.read_text()


def test_strange_numbers_do_no_harm(tmp_path: Path) -> None:
    """A moment that no calendar has, a song without a length."""
    timeline = {"accepted_at": 1e300}
    assert write(tmp_path, {**SONG, "timeline": timeline, "duration": 0}).exists()


@needs_chromium
def test_it_shows_searches_filters_and_sorts(page: Page, real: Path) -> None:
    """All of it from the disk, without a server."""
    page.open(real.as_uri())
    everything = shown(page)
    assert len(everything) == 5
    assert page.run("document.getElementById('found').textContent") == "All 5 shown"
    assert page.run(
        "(async () => { const i = document.querySelector('img'); await i.decode();"
        "return i.naturalWidth })()"
    )
    page.press("/")
    page.call("Input.insertText", text="cafe arger")
    assert shown(page) == ["Ärger im Café (1\xa0of\xa02)"]
    assert page.run("document.getElementById('found').textContent") == "1 of 5 found"
    choose(page, "words", "something COLD", "input")
    assert shown(page) == ["Snow (2\xa0of\xa02)"]
    choose(page, "words", "nobody has this", "input")
    assert shown(page) == []
    choose(page, "words", "", "input")
    choose(page, "state", "failed", "change")
    assert len(shown(page)) == 1
    choose(page, "state", "", "change")
    choose(page, "provider", "udioapi-v2", "change")
    assert len(shown(page)) == 4
    choose(page, "provider", "", "change")
    choose(page, "order", "oldest", "change")
    assert shown(page) == everything[::-1]
    choose(page, "order", "title", "change")
    assert shown(page) == page.run(
        f"{json.dumps(everything)}.sort(new Intl.Collator(undefined, {{numeric: true}}).compare)"
    )
    assert page.trouble == []


@needs_chromium
def test_it_plays_one_song_at_a_time(page: Page, real: Path) -> None:
    """The audio of the song that was clicked runs; the next click takes its place."""
    page.open(real.as_uri())
    assert page.run("document.querySelectorAll('audio').length") == 1
    plays = """new Promise((done) => {{
        const audio = document.getElementById('audio');
        const report = () => {{
            if (!audio.currentTime) return;
            audio.removeEventListener('timeupdate', report);
            done([audio.readyState >= 2, decodeURI(audio.src)]);
        }};
        audio.addEventListener('timeupdate', report);
        document.querySelectorAll('.play')[{number}].click();
    }})"""
    sources = [page.run(plays.format(number=number)) for number in (0, 1)]
    assert [ready for ready, _ in sources] == [True, True]
    assert sources[0][1] != sources[1][1]
    names = "[...document.querySelectorAll('.play')].map((e) => e.ariaLabel.split(' ')[0])"
    assert page.run(names) == ["Play", "Pause", "Play", "Play"]
    assert page.trouble == []


@needs_chromium
def test_it_works_without_scripts(page: Page, real: Path) -> None:
    """Every song has a player of its own, and nothing pretends to search."""
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        page.open(real.as_uri())
        root = page.call("DOM.getDocument")["root"]["nodeId"]

        def count(selector: str) -> int:
            found = page.call("DOM.querySelectorAll", nodeId=root, selector=selector)
            return len(found["nodeIds"])

        assert count('audio[preload="none"][src]') == 4
        assert (count(".card"), count("form[hidden]"), count("section[hidden]")) == (5, 1, 1)
    finally:
        page.call("Emulation.setScriptExecutionDisabled", value=False)


def hostile_lines() -> list[dict[str, Any]]:
    """Songs and failures that carry each of the texts wherever a text can be."""
    fields = ("title", "lyrics", "tags", "model", "asked")
    lines = [
        {**SONG, "id": f"{number}{text}", "provider": text, **dict.fromkeys(fields, text)}
        for number, text in enumerate(HOSTILE)
    ]
    errors = [
        {**FAILED, "task_id": text, "error": dict.fromkeys(("type", "message", "advice"), text)}
        for text in HOSTILE
    ]
    name = "\"><img src=x onerror='alert(7)'>#?%41.mp3"
    return [*lines, *errors, {**SONG, "path": name, "cover": name}]


@pytest.mark.parametrize(("charged", "advised"), [("no", True), ("unknown", False)])
def test_what_may_be_paid_for_is_not_advised_to_be_asked_for_again(
    tmp_path: Path, charged: str, *, advised: bool
) -> None:
    """A look at a wrong id is refused with the same word as a submit, and says nothing of it."""
    error = {"type": "RequestRefused", "message": "answered 404", "charged": charged}
    text = write(tmp_path, {**FAILED, "error": error}).read_text(encoding="utf-8")
    assert ("Change the request and ask again." in text) is advised
    assert ("before you ask again" in text) is not advised


@needs_chromium
def test_hostile_songs_do_nothing(page: Page, tmp_path: Path) -> None:
    """They are shown as they are: no element, no dialog, nothing for the policy to stop."""
    page.open(write(tmp_path, *hostile_lines()).as_uri())
    tags = "[...new Set([...document.body.querySelectorAll('*')].map((e) => e.localName))]"
    known = (
        "a svg symbol path rect use header h1 h2 h3 p span search form label kbd input select "
        "option main ul li div button strong q details summary noscript section audio script img"
    )
    assert set(page.run(tags)) <= set(known.split())
    assert page.run("document.scripts.length") == 1
    handlers = (
        "[...document.querySelectorAll('*')]"
        ".flatMap((e) => e.getAttributeNames()).filter((n) => n.startsWith('on')).length"
    )
    assert page.run(handlers) == 0
    titles = shown(page)
    plain = [text.strip() for text in HOSTILE]
    assert all(any(title.startswith(text[:12]) for title in titles) for text in plain)
    page.run("document.querySelectorAll('details').forEach((e) => { e.open = true })")
    page.run("document.querySelector('.play').click()")
    sources = page.run("[...document.querySelectorAll('[src]')].map((e) => e.src)")
    assert sources
    assert all(source.startswith(tmp_path.as_uri()) for source in sources)
    # The empty file is no picture; that is all the browser has to say.
    assert [told for told in page.trouble if "violates" in json.dumps(told)] == []
    assert not any(told["method"] != "Log.entryAdded" for told in page.trouble)


@needs_chromium
def test_the_policy_would_stop_what_escaping_missed(page: Page, tmp_path: Path) -> None:
    """A control: with a hole in the page the browser still runs nothing, and says so."""
    path = write(tmp_path, SONG)
    hole = "<script>alert(1)</script><img src='data:,' onerror='alert(2)'>"
    path.write_text(path.read_text().replace("<main>", f"<main>{hole}"))
    page.open(path.as_uri())
    told = [heard["params"]["entry"]["text"] for heard in page.trouble]
    assert len([text for text in told if "Content Security Policy" in text]) >= 2
    assert not any(heard["method"] == "Page.javascriptDialogOpening" for heard in page.trouble)


@needs_chromium
def test_a_script_that_ran_would_be_seen(page: Page, tmp_path: Path) -> None:
    """A control: without the policy the same hole opens a dialog, and the tests hear it."""
    path = write(tmp_path, SONG)
    bare = re.sub("<meta http-equiv[^>]*>", "", path.read_text())
    path.write_text(bare.replace("<main>", "<main><script>alert(1)</script>"))
    page.open(path.as_uri())
    assert any(heard["method"] == "Page.javascriptDialogOpening" for heard in page.trouble)
