"""The audit: the journal beside the provider's counter."""

import json
from functools import partial
from pathlib import Path

import click

from .. import Audit, UdioError
from ._clients import open_client
from ._failures import BadInput
from ._question import ask
from ._remedies import explain
from ._service import Service
from ._text import amount, counted

_TOLERANCE = 1e-6
_CAVEAT = "This is conclusive only if nobody else uses the key."


def show_audit(service: Service, journal: Path, *, as_json: bool, backend: str) -> int:
    """Print the comparison to stdout, and return the exit code.

    0: they agree. 1: they differ.

    Raises:
        BadInput: there is nothing to compare with.
    """
    service.provider()  # a wrong option or a missing key shows before anything is started
    try:
        found = ask(partial(_ask, service, journal), backend=backend)
    except UdioError as error:
        raise BadInput(f"nothing to compare with: {explain(error)}") from error
    if found is None:
        raise BadInput("no credits were known when the journal was begun; nothing to compare")
    click.echo(_as_json(found) if as_json else _as_text(found))
    if found.difference is None:
        raise BadInput("the provider states no price; give --price to compare")
    return 0 if abs(found.difference) < _TOLERANCE else 1


async def _ask(service: Service, journal: Path) -> Audit | None:
    async with open_client(service, service.journal(journal)) as client:
        return await client.audit()


def _as_json(found: Audit) -> str:
    names = ("accepted", "in_doubt", "price", "counted", "difference")
    return json.dumps({**{name: getattr(found, name) for name in names}, "note": _CAVEAT})


def _as_text(found: Audit) -> str:
    doubts = f", {found.in_doubt} in doubt" if found.in_doubt else ""
    lines = [
        f"journal  {counted(found.accepted, 'request')} accepted{doubts}",
        f"counter  {amount(found.counted)} credits charged since the journal was begun",
    ]
    if found.price is not None:
        expected = found.accepted * found.price
        lines.append(
            f"price    {amount(found.price)} a request, so {amount(expected)} credits expected"
        )
    return "\n".join([*lines, *_verdict(found)])


def _verdict(found: Audit) -> list[str]:
    difference = found.difference
    if difference is None:
        return []
    if abs(difference) < _TOLERANCE:
        return ["They agree.", _CAVEAT]
    if difference < 0:
        return [
            f"They differ: {amount(-difference)} credits less were charged than expected.",
            _CAVEAT,
        ]
    doubted = found.in_doubt * (found.price or 0)
    what = f"They differ: {amount(difference)} credits more were charged than expected"
    if abs(difference - doubted) < _TOLERANCE:
        what += f",\nas much as {counted(found.in_doubt, 'request')} in doubt would cost"
    return [f"{what}.", _CAVEAT]
