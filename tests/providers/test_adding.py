"""A fourth provider: one class, one case, some recordings, public names, and one line.

`toy` is what a stranger would write. Here it is a part of the suite, and once more a package of
its own.
"""

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import udio_async
from tests.providers.toy import TOY_TRAITS, Toy
from tests.providers.toy.test_toy import FILES
from udio_async import Client, providers, testing
from udio_async.providers import kit
from udio_async.testing import KEY

HERE = Path(__file__).parent / "toy"


def ours(path: Path) -> Iterator[tuple[str, str]]:
    """What a file imports of this library: module and name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((name.name, "") for name in node.names if "udio_async" in name.name)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            module = node.module or ""
            if module.partition(".")[0] == "udio_async":
                yield from ((module, name.name) for name in node.names)


@pytest.mark.parametrize("path", sorted(HERE.glob("*.py")), ids=lambda path: path.name)
def test_an_adapter_needs_public_names_only(path: Path) -> None:
    """From three modules, whose names are all listed there: nothing private, nothing by chance."""
    public = {
        "udio_async": set(udio_async.__all__),
        "udio_async.providers.kit": set(kit.__all__),
        "udio_async.testing": set(testing.__all__),
    }
    found = list(ours(path))
    assert found
    assert [use for use in found if use[1] not in public.get(use[0], ())] == []


def test_it_passes_the_contract_as_a_package_of_its_own(tmp_path: Path) -> None:
    """Away from this repository, its test file runs as it is, on both event loops."""
    shutil.copytree(HERE, tmp_path / "toysongs", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n", encoding="utf-8")
    # Of the plugins that happen to be installed, this one would warn that nobody has set it up.
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:asyncio"]
    command = [sys.executable, "-m", "pytest", *options, "toysongs"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.splitlines()[-1]
    assert " passed" in said
    assert "skipped" not in said


def test_one_line_registers_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its line in the registry, the provider is found by its name."""
    monkeypatch.setattr(providers, "PROVIDERS", {**providers.PROVIDERS, Toy.name: Toy})
    found: object = providers.provider_named("toy")
    assert found is Toy


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_paid_song_is_no_doubt(anyio_backend: str) -> None:
    """The client takes the id from where this provider has it, and finds the song by it."""

    def answer(request: httpx.Request) -> httpx.Response:
        is_submit = request.url.path == "/songs"
        name = "submit-ok.200.json" if is_submit else "look-made.200.json"
        return httpx.Response(200, text=FILES[name])

    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(answer), verify=False) as http,
        Client(Toy(api_key=KEY, traits=TOY_TRAITS.hastened(1000)), http_client=http) as client,
    ):
        job = await client.submit("a bird")
        assert [song.id for song in await job.songs()] == ["4711"]
        assert job.task_id == "7001"
        assert await client.doubts() == []
