"""The credits that the account has left."""

import json
from functools import partial

import click

from .. import Client, Credits
from ._question import ask
from ._service import Service
from ._text import amount, one_line


def show_credits(service: Service, *, as_json: bool, backend: str) -> None:
    """Ask the provider, and print the answer to stdout."""
    service.provider()  # a wrong option or a missing key shows before anything is started
    credit = ask(partial(ask_credits, service), backend=backend)
    click.echo(_as_json(credit) if as_json else _as_text(credit))


async def ask_credits(service: Service) -> Credits:
    """Ask the provider.

    Raises:
        UdioError: it does not tell.
    """
    async with (
        service.open() as provider,
        Client(provider, trust_env=service.trust_env) as client,
    ):
        return await client.credits()


def _as_json(credit: Credits) -> str:
    names = ("provider", "remaining", "used", "plan")
    return json.dumps({name: getattr(credit, name) for name in names})


def _as_text(credit: Credits) -> str:
    text = f"{credit.provider}: {amount(credit.remaining)} credits left"
    if credit.used is not None:
        text += f", {amount(credit.used)} used"
    return f"{text} (plan {one_line(credit.plan)})" if credit.plan else text
