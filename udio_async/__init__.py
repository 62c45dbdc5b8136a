"""Generate songs by API, many at once, without paying twice."""

from . import _interrupt as _interrupt  # first: it is about the time that the rest takes

# isort: split
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._public import *  # noqa: F403  # it lists them
    from ._public import __all__ as __all__

    __version__: str


def __getattr__(name: str) -> object:
    """Load the public names when somebody asks for one: `udio-async --help` does without."""
    if name == "Sandbox":
        from .sandbox import Sandbox  # noqa: PLC0415  # it needs the extra `sandbox`

        return Sandbox
    if name == "__version__":
        from ._http import installed_version  # noqa: PLC0415  # see above

        return installed_version()
    if name == "__all__" or not name.startswith("_"):
        from . import _public  # noqa: PLC0415  # see above

        if name in ("__all__", *_public.__all__):
            globals().update(
                {each: getattr(_public, each) for each in _public.__all__ if each != "Sandbox"},
                __all__=_public.__all__,
            )
            return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names, before anybody has asked for one."""
    from ._public import __all__ as names  # noqa: PLC0415  # see above

    return sorted({*globals(), *names, "__version__"})
