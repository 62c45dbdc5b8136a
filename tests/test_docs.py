"""Every Python block of the README and the documentation runs, against the sandbox."""

import ast
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from types import CodeType
from typing import Any

import attrs
import pytest
from starlette.routing import Mount

import udio_async as ua
from udio_async import Sandbox
from udio_async.providers import Provider

from .test_exports import PACKAGE, ROOMS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINKING = sorted({*PAGES, *ROOT.glob("*.md")})
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> Iterator[Any]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for number, found in enumerate(_BLOCK.finditer(text)):
            yield pytest.param(found[1], id=f"{page.stem}-{number}")


@pytest.fixture
def anyio_backend() -> str:
    """What is shown is the same on both."""
    return "asyncio"


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("UDIOAPI_API_KEY", "APIFRAME_API_KEY"):
        monkeypatch.setenv(name, "sandbox")


async def run(code: str, names: dict[str, Any]) -> None:
    """Run a block as it stands; what it awaits outside of a function is awaited here."""
    compiled: CodeType = compile(code, "block", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(compiled, names)  # our own documentation
    if inspect.isawaitable(result):
        await result


@pytest.mark.parametrize("code", list(blocks()))
async def test_a_block_runs(code: str, tmp_path: Path) -> None:
    """With a client at hand where it shows a part of a program, and by itself where it is one."""
    async with Sandbox(speed=600) as sandbox:
        code = code.replace('ua.UdioApiV2(api_key="...")', "provider")
        code = code.replace('SqliteJournal("songs.db")', 'SqliteJournal("other.db")')
        provider = sandbox.udioapi_v2()
        names: dict[str, Any] = {"ua": ua, "provider": provider, "sandbox": sandbox}
        with chdir(tmp_path):
            if "anyio.run(main)" in code:
                program = code.replace("anyio.run(main)", "")
                await run(program, names)
                await names["main"]()
                await names["main"]()  # run again, it continues
                assert len(list((tmp_path / "songs").glob("*.mp3"))) == 4
                assert len(sandbox.ledger) == 2
                return
            async with ua.Client(provider, journal="other.db") as client:
                job = await client.submit("a song")
                names |= {"client": client, "job": job, "key": job.key}
                await run(code, names)


def test_there_are_blocks() -> None:
    """The pattern finds them: the README's program, and parts in the pages."""
    found = [block.id for block in blocks()]
    assert "README-0" in found
    assert len(found) >= 5


ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
_MODULES = {path.stem for path in PACKAGE.iterdir()} - {"__init__", "__pycache__"}


def code_names() -> list[str]:
    """What the page names of the package: whatever begins with the name of one of its rooms."""
    prose = re.sub(r"```.*?```", "", ARCHITECTURE, flags=re.DOTALL)
    found = re.findall(r"`([A-Za-z_]\w*(?:\.\w+)*)`", prose)
    return sorted({name for name in found if name.partition(".")[0] in _MODULES or "." in name})


@pytest.mark.parametrize("name", code_names())
def test_what_the_architecture_names_is_there(name: str) -> None:
    """Each `module.Class.method` of docs/architecture.md is found under that name."""
    assert pkgutil.resolve_name(f"udio_async.{name}") is not None


def test_the_architecture_shows_the_rooms_as_they_are() -> None:
    """In the order that the imports are checked against."""
    shown = re.search(r"<!-- rooms: begin -->\s+```\n(.*?)```", ARCHITECTURE, re.DOTALL)
    assert shown is not None
    assert tuple(shown[1].splitlines()) == ROOMS
    assert len(code_names()) > 30


_LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)")


@pytest.mark.parametrize("page", LINKING, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    """Of the repository, from where the page is."""
    text = page.read_text(encoding="utf-8")
    assert [link for link in _LINK.findall(text) if not (page.parent / link).exists()] == []


WITH_EXAMPLE = [
    *("ApiKey", "Apiframe", "ApiframeOptions", "Audit", "Batch", "Callbacks", "Client"),
    *("Credits", "DownloadFailed", "Event", "Failure", "FailureKind", "GenerationFailed", "Job"),
    *("JournalEntry", "JournalState", "MemoryJournal", "Outcome", "PollPolicy", "Sandbox", "Saved"),
    *(
        "Song",
        "SongRequest",
        "SpendLimitReached",
        "SqliteJournal",
        "Stage",
        "SubmitInDoubt",
        "Task",
    ),
    *("Traits", "UdioApiOptions", "UdioApiV1", "UdioApiV2", "UdioError", "WaitExpired"),
]
"""The classes that users make or are given."""


def example(name: str) -> str:
    """What is indented in the docstring of a class, before its arguments and errors."""
    text = re.split(
        r"^(?:Args|Raises):", inspect.getdoc(getattr(ua, name)) or "", flags=re.MULTILINE
    )[0]
    lines = [line for line in text.splitlines() if not line or line.startswith("    ")]
    return textwrap.dedent("\n".join(lines)).strip()


@pytest.mark.parametrize("name", WITH_EXAMPLE)
async def test_the_example_of_a_class_runs(name: str, tmp_path: Path) -> None:
    """As it stands in the docstring, against the sandbox."""
    code = example(name)
    assert 1 <= len(code.splitlines()) <= 5
    async with Sandbox(speed=600) as sandbox:
        provider = sandbox.udioapi_v1() if name == "Callbacks" else sandbox.udioapi_v2()
        if name == "Client":
            code = code.replace('UdioApiV2(api_key="...")', "provider")
        names = {each: getattr(ua, each) for each in ua.__all__}
        with chdir(tmp_path):
            async with (
                ua.Client(provider, journal="other.db") as client,
                client.generate_many(["a song"]) as batch,
            ):
                outcome = await anext(batch)
                names |= {"provider": provider, "client": client, "Mount": Mount}
                names |= {"outcome": outcome, "songs": outcome.songs, "attrs": attrs}
                names["job"] = await client.submit("another song")
                await run(code, names)


@pytest.mark.parametrize("name", WITH_EXAMPLE)
def test_the_first_line_of_a_class_is_short(name: str) -> None:
    """One sentence or two, at most a dozen words."""
    first = (inspect.getdoc(getattr(ua, name)) or "").splitlines()[0]
    assert first.endswith(".")
    assert len(first.split()) <= 12


HEADS: dict[str, Provider] = {
    "`UdioApiV1`": ua.UdioApiV1(api_key="key"),
    '`UdioApiV1(generation="legacy")`': ua.UdioApiV1(api_key="key", generation="legacy"),
    "`UdioApiV2`": ua.UdioApiV2(api_key="key"),
    "`Apiframe`": ua.Apiframe(api_key="key"),
}
CALLED_BACK = ua.UdioApiOptions(callback_url="https://example.com/songs")
VALUES = {
    "description": "rain",
    "lyrics": "La la",
    "style": "folk",
    "title": "Rain",
    "negative_tags": "drums",
    "instrumental": True,
    "vocal_gender": "female",
}


def cells() -> Iterator[Any]:
    """Return what the README says of each field and each provider."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("|")
    ]
    heads = next(row for row in rows if "`UdioApiV2`" in row)
    for row in rows:
        field = row[0].partition(",")[0].strip("`")
        if field in VALUES:
            for head, words in zip(heads[1:], row[1:], strict=True):
                yield pytest.param(field, head, words, id=f"{field}-{head}")


def takes(head: str, *fields: str) -> bool:
    request = ua.SongRequest(
        options=CALLED_BACK if head == "`UdioApiV1`" else None,
        **{field: VALUES[field] for field in fields},  # type: ignore[arg-type]  # by its name
    )
    try:
        HEADS[head].check(request)
    except ua.RequestError:
        return False
    return True


@pytest.mark.parametrize(("field", "head", "words"), list(cells()))
def test_the_readme_says_what_each_provider_takes(field: str, head: str, words: str) -> None:
    """Alone, beside a description, or beside lyrics with all that they need."""
    sung = {"lyrics", "style", "title", field}
    beside = takes(head, "description", field)
    told = {
        "yes": beside,
        "no": not beside and not takes(head, *sung),
        "with `lyrics`": takes(head, *sung) and (not beside or field == "style"),
        "instead of `description`": takes(head, *sung) and not beside,
        "with `style` and `title`": takes(head, *sung) and not takes(head, "lyrics"),
        "with `description` or `style`": beside
        and takes(head, "lyrics", "style")
        and not takes(head, "lyrics"),
        "kept on the `Song`": beside,
    }
    assert told[words]


def test_the_table_of_the_readme_is_read() -> None:
    """A control: each field was found, for each provider."""
    assert len(list(cells())) == len(VALUES) * len(HEADS)
