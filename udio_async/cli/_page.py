"""Pages for a browser: one file each, which needs nothing from anywhere else."""

import base64
import hashlib
import os
from functools import cache
from importlib import resources
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

_PACKAGE = __name__.rpartition(".")[0]
_TEMPLATES = "templates"


def write_page(path: Path, template: str, values: dict[str, object]) -> None:
    """Render a template to a file, whole or not at all."""
    part = path.with_name(f"{path.name}.{uuid4().hex[:8]}.part")
    try:
        with part.open("wb") as file:
            rendered = _environment().get_template(template).stream(values)
            rendered.enable_buffering(500)
            rendered.dump(file, encoding="utf-8")
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


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
    """Return what the page's policy calls it: nothing else on the page may run."""
    digest = hashlib.sha256(_source(name).encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
