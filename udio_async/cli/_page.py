"""Pages for a browser: one file each, which loads nothing from elsewhere."""

import base64
import errno
import hashlib
import os
import re
import stat
from collections.abc import Callable
from functools import cache
from importlib import resources
from pathlib import Path
from urllib.parse import quote

import click
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ._directory import part_of
from ._failures import BadInput, warn
from ._text import as_utf8

_PACKAGE = __name__.rpartition(".")[0]
_TEMPLATES = "templates"
_HEAD = 1024
"""Bytes of a page in which it says whose it is."""
_MARK = b'<meta name="generator" content="udio-async">'
_FORMER_MARK = re.compile(
    rb"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; [^"\n]*">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>(Songs|Where the time went)</title>
"""
)
"""How pages began before they had the mark."""


def write_page(path: Path, template: str, values: dict[str, object]) -> Path:
    """Render a template to a file, whole or not at all; return its path.

    A file that is not a page of ours is left alone: then the page gets a name beside it.

    Raises:
        OSError: it could not be written.
    """
    path = _free_name(path)
    part = path.with_name(part_of(path.name))
    try:
        with part.open("xb") as file:
            rendered = _environment().get_template(template).stream(values)
            rendered.enable_buffering(500)
            rendered.dump(file, encoding="utf-8")
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def show_written(write: Callable[[Path], Path], directory: Path, name: str) -> None:
    """Write a page, and print where it is.

    Raises:
        BadInput: it could not be written.
    """
    try:
        path = write(directory)
    except OSError as error:
        raise BadInput(
            f"cannot write to {directory}: {error.strerror}; allow that, or copy the folder to "
            "where you may write"
        ) from error
    if path.name != name:
        warn(not_ours(directory / name, path))
    click.echo(as_utf8(str(path)))


def not_ours(wanted: Path, given: Path) -> str:
    """Return the line that tells why a page has another name."""
    return f"{wanted} is not a page of udio-async and was left alone; this one is {given.name}"


def _free_name(path: Path) -> Path:
    """Return the first name that is free, or has a page of ours."""
    names = [path.stem, f"{path.stem}-songs", *(f"{path.stem}-songs-{n}" for n in range(2, 10))]
    places = [path.with_name(f"{name}{path.suffix}") for name in names]
    for place in places:
        if is_page_of_ours(place):
            return place
    raise FileExistsError(
        errno.EEXIST, "it is not a page of udio-async, as others beside it; move one away", path
    )


def is_page_of_ours(path: Path) -> bool:
    """Return whether we may replace what has this name.

    That is nothing, or a page that we wrote.
    """
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return False
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return _MARK in head or _FORMER_MARK.match(head) is not None


def as_link(path: str) -> str:
    """Return the address of a file beside the page, whatever its name looks like."""
    return f"./{quote(path)}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(_PACKAGE, _TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["source"] = _source
    environment.globals["source_hash"] = _source_hash
    return environment


def _source(name: str) -> Markup:
    """Return a script or a style sheet of ours as it stands."""
    text = resources.files(_PACKAGE).joinpath(_TEMPLATES, name).read_text(encoding="utf-8")
    return Markup(text)  # noqa: S704 - our own file, with nothing put into it


def _source_hash(name: str) -> str:
    """Return the hash of a script or style sheet, for the page's policy.

    Nothing else on the page may run.
    """
    digest = hashlib.sha256(_source(name).encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
