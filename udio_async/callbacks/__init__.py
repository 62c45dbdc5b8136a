"""The providers call us, and nobody else can.

Addresses that nobody can guess (`addresses`), the ASGI application that takes what comes to them
(`application`), and what is done about it (`handler`).
"""

from .addresses import Addresses, check_public_url
from .application import Callbacks
from .handler import CallbackHandler

__all__ = ["Addresses", "CallbackHandler", "Callbacks", "check_public_url"]
