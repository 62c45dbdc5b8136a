"""Generate songs by API, many at once, without paying twice."""

from . import _interrupt as _interrupt  # first: it is about the time that the rest takes

# isort: split
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._public import *  # noqa: F403  # it lists them
    from ._public import __all__ as __all__

    __version__: str


def __getattr__(name: str) -> object:
    """Load the public names when somebody asks for the first of them.

    `udio-async --help` does without, and is quicker for that.
    """
    if name == "Sandbox":
        from .sandbox import Sandbox  # noqa: PLC0415  # it needs the extra `sandbox`

        return Sandbox
    if name == "__version__":
        from ._http import installed_version  # noqa: PLC0415  # see above

        return installed_version()
    if name == "__all__" or not name.startswith("_"):
        error = _error_named(name)
        if error is not None:
            return error
        loaded = _load()
        if name in loaded:
            return loaded[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _error_named(name: str) -> object:
    """Return an error class without loading the rest.

    `udio-async --help` has to know some of them.
    """
    from . import _errors  # noqa: PLC0415  # see above

    value = vars(_errors).get(name)
    is_error = isinstance(value, type) and issubclass(value, _errors.UdioError)
    return value if is_error else None


def __dir__() -> list[str]:
    """List the public names, before anybody has asked for one."""
    _load()
    return sorted({*globals(), "Sandbox", "__version__"})


def _load() -> dict[str, object]:
    """Put all public names into this module, and return them."""
    from . import _public  # noqa: PLC0415  # see above

    loaded = {name: vars(_public)[name] for name in _public.__all__ if name != "Sandbox"}
    loaded["__all__"] = _public.__all__
    globals().update(loaded)
    _interrupt.end()
    return loaded
