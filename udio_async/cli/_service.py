"""The service that a command talks to, and its key."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import attrs
import click

from .. import ApiKey, Provider, Traits, UdioApiV1, UdioError, provider_named
from ..providers import account_of
from ._address import AddressedJournal
from ._names import KEY_VARIABLES, NO_SANDBOX, SANDBOX, SANDBOX_SPEED
from ._remedies import explain

if TYPE_CHECKING:
    from ..sandbox import Sandbox


@attrs.frozen(kw_only=True)
class Service:
    """The options about the provider."""

    name: str
    base_url: str | None = None
    legacy: bool = False
    speed: float | None = None
    """How much faster than a real service a sandbox makes songs."""
    price: float | None = None
    """What one request costs, in credits."""
    trust_env: bool = True
    """Whether proxies and certificates of the environment count."""
    earlier: Path | None = None
    """The journal of an earlier run that this one goes on with."""

    @property
    def is_sandbox(self) -> bool:
        """Whether it is a sandbox of this run, which costs nothing and forgets with it."""
        return self.name == SANDBOX

    def provider(self) -> Provider:
        """Return the provider; for the sandbox one that can check requests.

        Raises:
            click.UsageError: options that do not go together, or no key in the environment.
        """
        self._check()
        if self.is_sandbox:
            traits = self._adapted(_make("udioapi-v2", api_key="sandbox").traits)
            return _make("udioapi-v2", api_key="sandbox", traits=traits)
        options: dict[str, Any] = {"generation": "legacy"} if self.legacy else {}
        if self.base_url is not None:
            options["base_url"] = self.base_url
        options["api_key"] = self._key(KEY_VARIABLES[self.name])
        try:
            provider = _make(self.name, **options)
        except UdioError as error:
            raise click.UsageError(explain(error)) from error
        return _make(self.name, **options, traits=self._adapted(provider.traits))

    def account(self) -> str | None:
        """Return what journals call the account, or None where there is no key for it."""
        try:
            return account_of(self.provider())
        except click.UsageError:
            return None

    def journal(self, path: Path, *, notes: bool = False) -> AddressedJournal:
        """Return the journal at this path, for this service only; `notes` as there."""
        return AddressedJournal(path, self.provider().account().base_url, notes=notes)

    def _adapted(self, traits: Traits) -> Traits:
        """Return traits with the speed and the price that the options give."""
        if self.speed is not None and not self.is_sandbox:  # which sees to that itself
            traits = traits.hastened(self.speed)
        if self.price is None:
            return traits
        return attrs.evolve(traits, credits_per_request=self.price)

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Provider]:
        """Give the provider, with a sandbox behind it if that was asked for.

        The sandbox ends with the context.
        """
        if not self.is_sandbox:
            yield self.provider()
            return
        async with load_sandbox()(speed=self.speed or SANDBOX_SPEED) as sandbox:
            provider = sandbox.udioapi_v2()
            yield attrs.evolve(provider, traits=self._adapted(provider.traits))

    def _check(self) -> None:
        if self.legacy and self.name != UdioApiV1.name:
            raise click.UsageError(f"--legacy goes with --provider {UdioApiV1.name} only")
        if self.is_sandbox and self.base_url is not None:
            raise click.UsageError(
                "--provider sandbox starts a sandbox of its own; for one that runs elsewhere "
                "give --base-url with the name of a service"
            )
        if self.is_sandbox and self.earlier is not None:
            raise click.UsageError(f"{self.earlier} {NO_SANDBOX}")

    def _key(self, variable: str) -> ApiKey:
        value = os.environ.get(variable)
        if not value:
            what = f"no API key: set the environment variable {variable}"
            if self.earlier is None:  # a sandbox could not go on with it
                what += ", or try --provider sandbox, which needs none"
            raise click.UsageError(what)
        try:
            return ApiKey(value)
        except UdioError as error:
            raise click.UsageError(f"{variable}: {explain(error)}") from error


def _make(name: str, **options: Any) -> Provider:  # noqa: ANN401 - checked by the class
    return cast("Provider", provider_named(name)(**options))


def load_sandbox() -> "type[Sandbox]":
    """Return the sandbox's class, which has an extra of its own.

    Raises:
        click.UsageError: it is not installed; the message has the command that installs it.
    """
    try:
        from ..sandbox import Sandbox  # noqa: PLC0415 - most runs do without
    except ImportError as error:
        raise click.UsageError(
            f'the sandbox needs {error.name}; install it with: pip install "udio-async[sandbox]"'
        ) from error
    return Sandbox
