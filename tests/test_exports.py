"""What the package shows to the outside, and which of its rooms knows which."""

import ast
import importlib
import inspect
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path

import pytest

import udio_async
from udio_async import _errors

PACKAGE = Path(udio_async.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
ROOMS = (
    "_interrupt _errors _validators _records _limits _formats _urls",
    "_concurrency _http journal",
    "_events providers",
    "_polling _download",
    "_submit callbacks _job _batch",
    "_options _account",
    "_session _lifetime _client files",
    "_public",
    "sandbox testing cli",
)
"""The house from the ground up. A module imports only what stands before it."""
ORDER: Sequence[str] = " ".join(ROOMS).split()
LIBRARIES = dict.fromkeys(("starlette", "uvicorn", "lameenc"), "sandbox") | {
    "click": "cli",
    "rich": "cli",
    "jinja2": "cli",
    "mutagen": "_download",
    "openpyxl": "cli",
    "markupsafe": "cli",
}
"""What belongs to an extra, and the only room that may need it."""


def room(path: Path) -> str:
    """The first part of a module's name below the package."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """The full names of what a file imports at run time, in functions too."""
    package = ("udio_async", *path.relative_to(PACKAGE).parent.parts)
    nodes: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        nodes.extend(ast.iter_child_nodes(node))
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else ()
            start = ".".join((*base, *filter(None, [node.module])))
            yield from (f"{start}.{name.name}" for name in node.names)


def roots(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported(path)}


def public_methods() -> list[tuple[str, object]]:
    classes = {
        name: value
        for name in udio_async.__all__
        if inspect.isclass(value := getattr(udio_async, name))
    }
    return [
        (f"{name}.{attribute}", method)
        for name, value in classes.items()
        for attribute, method in vars(value).items()
        if not attribute.startswith("_")
        and (inspect.isfunction(method) or isinstance(method, (property, classmethod)))
    ]


def test_all_lists_what_is_there_and_nothing_else() -> None:
    """A name without an underscore is public or a module; `Sandbox` comes when asked for."""
    shown = {
        name
        for name, value in vars(udio_async).items()
        if not name.startswith("_") and not inspect.ismodule(value) and name != "TYPE_CHECKING"
    }
    assert shown | {"Sandbox"} == set(udio_async.__all__)
    assert list(udio_async.__all__) == sorted(udio_async.__all__)


@pytest.mark.parametrize("name", udio_async.__all__)
def test_every_public_name_has_a_docstring(name: str) -> None:
    """Its own, not that of a class above it."""
    value = getattr(udio_async, name)
    own = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
    assert (own or "").strip()


def test_every_public_method_has_a_docstring() -> None:
    """So that `help` answers; that of a protocol's method is for all who implement it."""
    protocol = set(vars(udio_async.Provider))
    bare = [
        name
        for name, method in public_methods()
        if not (method.__doc__ or "").strip() and name.partition(".")[2] not in protocol
    ]
    assert bare == []


def test_an_unknown_name_is_an_ordinary_attribute_error() -> None:
    """`hasattr` works although the sandbox is imported late."""
    assert hasattr(udio_async, "Sandbox")
    assert not hasattr(udio_async, "Sandbocks")


def test_an_error_that_is_loaded_alone_is_public_too() -> None:
    """Asked for by its name, no error is found that is not listed."""
    errors = {
        name
        for name, value in vars(_errors).items()
        if isinstance(value, type) and issubclass(value, _errors.UdioError)
    }
    assert errors <= set(udio_async.__all__)


def test_dir_lists_all_there_is() -> None:
    """The sandbox too, before anybody has asked for it."""
    assert {*udio_async.__all__, "__version__"} <= set(dir(udio_async))


def test_the_version_is_that_of_the_package() -> None:
    """As it was installed; a source tree has none."""
    try:
        installed = metadata.version("udio-async")
    except metadata.PackageNotFoundError:
        installed = "dev"
    assert udio_async.__version__ == installed


def foreign_imports() -> dict[str, set[str]]:
    """What each room imports, by the first name."""
    found: dict[str, set[str]] = {}
    for path in FILES:
        found.setdefault(room(path), set()).update(roots(path))
    return found


def climbers(path: Path) -> set[str]:
    """The rooms that a file imports although they do not stand below its own."""
    if path.parent == PACKAGE and path.name in ("__init__.py", "__main__.py"):
        return set()
    ours = {name.split(".")[1] for name in imported(path) if name.startswith("udio_async.")}
    front = set(udio_async.__all__) | {"__version__"} if room(path) == "cli" else set[str]()
    return ours - front - set(ORDER[: ORDER.index(room(path)) + 1])


BACK_DOORS = {
    "udio_async._interrupt": "Ctrl-C is dealt with before anything else is imported, by the root",
    "udio_async._concurrency.open_tasks": "how errors leave a task group is no business of a user",
    "udio_async._submit.affordable": "a plan has to name the number that the client keeps to",
    "udio_async._records.failure_error": "a task that failed is told of in one way",
}
"""What the command line takes that is private, with the reason."""


def is_public(name: str) -> bool:
    """Whether a full name is listed in the `__all__` of a module without an underscore."""
    module, _, own = name.rpartition(".")
    if not module or any(part.startswith("_") for part in module.split(".")):
        return False
    return own == "__version__" or own in getattr(importlib.import_module(module), "__all__", ())


def private_uses(path: Path) -> set[str]:
    """What a file imports from other rooms of this package although it is not public."""
    ours = {name for name in imported(path) if name.split(".")[0] == "udio_async"}
    inside = f"udio_async.{room(path)}."
    return {name for name in ours if not name.startswith(inside) and not is_public(name)}


def test_the_command_line_uses_the_front_door() -> None:
    """It is a user of the library like any other: what it needs, they can have as well."""
    used = set().union(*(private_uses(path) for path in FILES if room(path) == "cli"))
    assert used == set(BACK_DOORS)


def test_only_one_room_knows_the_http_library() -> None:
    """Moving to another is a change of one room, and nobody looks behind it."""
    found = foreign_imports()
    assert [name for name in found if "httpx" in found[name]] == ["_http"]
    assert not any("httpcore" in libraries for libraries in found.values())


def test_the_library_is_for_both_event_loops() -> None:
    """What it knows of tasks and clocks it knows from anyio, but for a task without a group."""
    found = foreign_imports()
    assert [name for name in found if {"asyncio", "trio"} & found[name]] == ["_concurrency"]


def test_the_core_needs_no_extra() -> None:
    """Only the room that an extra is for imports its libraries."""
    for name, libraries in foreign_imports().items():
        assert {LIBRARIES[library] for library in libraries & LIBRARIES.keys()} <= {name}


def test_every_module_has_its_place() -> None:
    """A new one is put where a stranger would look for it, and into the list above."""
    top = {room(path) for path in FILES} - {"__init__", "__main__"}
    assert top <= set(ORDER)


def test_a_module_imports_only_what_stands_below_it() -> None:
    """Nothing flows back up, and nobody imports the package itself."""
    assert {str(path): climbers(path) for path in FILES if climbers(path)} == {}


PARTS = {
    "addresses", "callbacks", "counter", "downloads", "gate", "lifetime", "poller", "session",
    "store", "submitter",
}  # fmt: skip
"""What a client is made of."""


def reached_through(source: str) -> set[str]:
    """Where a method takes a part of one of its own parts: `self.store.journal.get`."""
    return {
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute)
        and isinstance(inner := node.value, ast.Attribute)
        and isinstance(part := inner.value, ast.Attribute)
        and isinstance(part.value, ast.Name)
        and part.attr.strip("_") in PARTS
    }


def test_no_part_is_reached_through_another() -> None:
    """What is needed of a part, that part is asked for: it may change what it is made of."""
    assert set().union(*(reached_through(path.read_text("utf-8")) for path in FILES)) == set()
    assert reached_through("self._store.journal.get()") == {"self._store.journal.get"}


def test_the_house_stays_small() -> None:
    """A newcomer sees the root at a glance, and reads a module in one sitting."""
    root = [path for path in FILES if path.parent == PACKAGE and path.name.startswith("_")]
    assert len([path for path in root if not path.name.startswith("__")]) <= 16
    long = [path.name for path in FILES if path.read_text("utf-8").count("\n") > 420]
    assert long == []


def test_no_module_knows_many_others() -> None:
    """Thirteen at most: one that needs more is two. The commands are loaded one by one."""
    modules = {name for path in FILES for name in module_names(path)}
    known = {
        path.relative_to(PACKAGE): {module_of(name, modules) for name in imported(path)} - {None}
        for path in FILES
        if path.name != "_commands.py"
    }
    assert {path for path, others in known.items() if len(others) > 13} == set()


def module_names(path: Path) -> Iterator[str]:
    """The full name of a file's module."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    yield ".".join(("udio_async", *(part for part in parts if part != "__init__")))


def module_of(name: str, modules: set[str]) -> str | None:
    """The module of this package that a full name is in, if it is in one."""
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name or None


def test_the_rules_can_be_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A control: what the rules are about is seen, however it is written."""
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    bad = tmp_path / "providers" / "bad.py"
    bad.parent.mkdir()
    bad.write_text(
        "import httpx, udio_async\n"
        "from .. import _client\n"
        "from ..cli._run import Run\n"
        "from .base import Traits\n"
        "if TYPE_CHECKING:\n    import trio\n"
        "def late():\n    from httpcore import Request\n"
    )
    assert sorted(imported(bad)) == [
        "httpcore.Request",
        "httpx",
        "udio_async",
        "udio_async._client",
        "udio_async.cli._run.Run",
        "udio_async.providers.base.Traits",
    ]
    assert climbers(bad) == {"_client", "cli"}
    assert private_uses(bad) == {"udio_async", "udio_async._client", "udio_async.cli._run.Run"}
