"""Notes that nobody of us has written, as a damaged journal holds them."""

import pytest

from tests.fuzz.ways import V1, V2, answering
from udio_async import JournalError, MemoryJournal
from udio_async._account import AccountNotes
from udio_async.callbacks.addresses import Addresses
from udio_async.journal import read_note, texts_in
from udio_async.providers.kit import Reply
from udio_async.testing import ACCOUNT

ODD = ["", "x", "{}", "[1]", "null", '["zz"]', "\x00"]
NOTHING = answering(Reply(status=200, headers={}, body=b""))
PUBLIC = "https://songs.example.org/udio"


@pytest.mark.parametrize("odd", ODD)
async def test_an_odd_note_is_an_error_of_the_journal(odd: str) -> None:
    """Whoever asks for what stood there hears that the journal cannot be trusted."""
    journal = MemoryJournal()
    async with journal.open(ACCOUNT):
        await journal.note("callback secrets", odd)
        with pytest.raises(JournalError, match="callback secrets"):
            await Addresses(journal, PUBLIC).give("key", 1)
        await journal.note("credits at first", odd)
        http = answering(Reply(status=200, headers={}, body=b'{"data": {"credits": 5}}'))
        with pytest.raises(JournalError, match="credits at first"):
            await AccountNotes(V2, http, journal).audit()


@pytest.mark.parametrize("odd", ODD)
async def test_what_only_helps_is_done_without(odd: str) -> None:
    """How many songs the provider makes at once is found out anew."""
    journal = MemoryJournal()
    async with journal.open(ACCOUNT):
        await journal.note("songs at once", odd)
        assert await AccountNotes(V1, NOTHING, journal).max_active_found() is None


@pytest.mark.parametrize("odd", ["", "x", "{}", " rain"])
async def test_an_address_of_nobody_is_an_error_of_the_journal(odd: str) -> None:
    """So its callback is answered with "try again", and no server fails."""
    journal = MemoryJournal()
    async with journal.open(ACCOUNT):
        addresses = Addresses(journal, PUBLIC)
        address = await addresses.give("rain", 1)
        assert address is not None
        token = address.url.rpartition("/")[2]
        assert await addresses.job(token) == ("rain", 1)
        [name] = [name for name in journal._notes if name.startswith("attempt")]
        await journal.note(name, odd)
        with pytest.raises(JournalError, match="attempt callback"):
            await addresses.job(token)


async def test_sound_notes_are_read() -> None:
    """And one that is not there is None."""
    journal = MemoryJournal()
    async with journal.open(ACCOUNT):
        await journal.note("names", '["a", "b"]')
        assert await read_note(journal, "names", texts_in) == ["a", "b"]
        assert await read_note(journal, "others", texts_in) is None
