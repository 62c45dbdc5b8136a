"""Which entries of an answer are songs of their own."""

import pytest

from udio_async.providers.songs import distinct_songs


@pytest.mark.parametrize(
    ("entries", "places"),
    [
        ([("a", "x"), ("a", "x")], {"a": 0}),
        ([("a", None), ("a", "x"), ("a", None)], {"a": 1}),
        ([("a", None), ("a", None), ("b", None)], {"a": 0, "b": 2}),
        ([("a", None), ("b", None), ("a", "x")], {"a": 2, "b": 1}),
        ([(None, None), (None, "x")], {"t-0": 0, "t-1": 1}),
    ],
)
def test_a_song_that_is_listed_twice_is_one(
    entries: list[tuple[str | None, str | None]], places: dict[str, int]
) -> None:
    """Its entry with a file counts, and of two such the first; without an id it is its own."""
    assert list(distinct_songs(entries, "t").items()) == list(places.items())


@pytest.mark.parametrize(
    ("entries", "places"),
    [
        ([("t", "x"), ("t", "y")], {"t-0": 0, "t-1": 1}),
        ([("a", "x"), ("a", "y")], {"a": 0, "t-1": 1}),
        ([("a", None), ("a", "x"), ("a", "y"), ("a", "y")], {"a": 1, "t-1": 2}),
        ([("t-1", "x"), (None, "y"), ("t-2", "z")], {"t-1": 0, "t-2": 1, "t-3": 2}),
    ],
)
def test_songs_that_share_an_id_are_told_apart_by_their_files(
    entries: list[tuple[str | None, str | None]], places: dict[str, int]
) -> None:
    """Each is paid for. Those that cannot have the id get one by their number."""
    assert distinct_songs(entries, "t") == places
