"""The ASGI application: all services at one origin, and two own pages."""

import attrs
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ._apiframe import Apiframe
from ._media import Media
from ._submits import SubmitHandler
from ._udioapi import UdioApi

_WELCOME = """\
udio_async sandbox: three song services on your own machine. No money, no network.

Key          {key}
Speed        a song takes about {seconds:.2g} seconds

udioapi v1   POST /api/generate
             GET  /api/feed?workId=...
udioapi v2   POST /api/v2/generate
             GET  /api/v2/feed?workId=...
             GET  /api/v2/credits
apiframe     POST /udio-imagine
             POST /fetch
             POST /fetch-many
             GET  /account
files        GET  /media/<song id>.mp3
             GET  /media/<song id>.png
             GET  /stream/?item_id=<song id>
ledger       GET  /_sandbox/ledger      what every submit was answered, and what it cost
callbacks    GET  /_sandbox/deliveries  what was posted to addresses on this machine
"""


def make_app(handler: SubmitHandler) -> Starlette:
    """Build the application on top of the handler for submits."""
    world = handler.world

    async def welcome(_: Request) -> Response:
        return PlainTextResponse(_WELCOME.format(key=world.api_key, seconds=60 / world.speed))

    async def ledger(_: Request) -> Response:
        return JSONResponse(
            {
                "credits": world.credits,
                "used_credits": world.used_credits,
                "charges": [attrs.asdict(charge) for charge in handler.ledger.charges],
                "submits": [attrs.asdict(submit) for submit in handler.ledger.submits],
            }
        )

    async def deliveries(_: Request) -> Response:
        shown = ("provider", "task_id", "url", "forged", "status", "at")
        return JSONResponse(
            [{name: getattr(each, name) for name in shown} for each in handler.caller.deliveries]
        )

    own = [
        Route("/", welcome),
        Route("/_sandbox/ledger", ledger),
        Route("/_sandbox/deliveries", deliveries),
    ]
    services = (UdioApi(handler), Apiframe(handler), Media(world))
    return Starlette(routes=[*own, *(route for each in services for route in each.routes())])
