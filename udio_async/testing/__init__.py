"""Tests that every provider and every journal has to pass, yours too.

They need pytest and anyio's plugin for it. `RecordedHttp` stands in for the network and answers
from files; `ProviderContract` is what every provider has to keep. A test file for a provider is one
`ProviderCase` and one class:

    class TestMine(ProviderContract):
        @pytest.fixture
        def case(self) -> ProviderCase:
            return CASE

`JournalContract` is what every journal has to keep; its fixture `reopen` makes a journal over one
and the same store:

    class TestMine(JournalContract):
        @pytest.fixture
        def reopen(self, tmp_path: Path) -> Callable[[], Journal]:
            return lambda: MyJournal(tmp_path / "store")

Both run on asyncio and on trio, as far as your `anyio_backend` fixture says so.
"""

from ._journals import ACCOUNT, JournalContract, listed, make_entry
from ._providers import ProviderCase, ProviderContract
from ._recordings import KEY, RecordedHttp, read_recording

__all__ = [
    "ACCOUNT",
    "KEY",
    "JournalContract",
    "ProviderCase",
    "ProviderContract",
    "RecordedHttp",
    "listed",
    "make_entry",
    "read_recording",
]
