"""The provider charges, and its answer is cut after k bytes, for every k."""

from collections.abc import Callable

import attrs
import pytest

from tests.kit.cutting import cutting_relay
from udio_async import Client, Sandbox, SubmitInDoubt
from udio_async.providers import Provider

MakeProvider = Callable[[Sandbox], Provider]
PROVIDERS: dict[str, MakeProvider] = {
    "udioapi-v1": lambda sandbox: sandbox.udioapi_v1(),
    "udioapi-v2": lambda sandbox: sandbox.udioapi_v2(),
    "apiframe": lambda sandbox: sandbox.apiframe(),
}


@pytest.fixture(params=list(PROVIDERS))
def make(request: pytest.FixtureRequest) -> MakeProvider:
    return PROVIDERS[request.param]


async def test_a_cut_answer_costs_one_charge_and_ends_in_an_id_or_a_doubt(
    make: MakeProvider,
) -> None:
    """One charge for every k; the id where it came through, else a doubt with its evidence."""
    async with Sandbox(credits=1e9) as sandbox, cutting_relay(sandbox.base_url) as relay:
        provider = attrs.evolve(make(sandbox), base_url=relay.url)  # type: ignore[misc]  # a value
        async with Client(provider, max_in_doubt=10_000) as client:
            await client.submit("uncut, to know how long an answer is")
            length, ids, doubts = relay.longest, [], []
            for relay.cut_after in range(length + 1):
                try:
                    job = await client.submit(f"cut after {relay.cut_after}")
                except SubmitInDoubt as doubt:
                    doubts.append(doubt)
                else:
                    ids.append(job.task_id)
        charged = [charge.task_id for charge in sandbox.ledger]

    assert len(charged) == 1 + length + 1, "one charge for each answer, cut or not"
    assert set(ids) <= set(charged), "an id that came through is the one that was charged"
    assert ids, "the whole answer holds an id"
    assert doubts, "nothing at all came of the answer cut after 0 bytes"
    assert all(doubt.charged == "unknown" and doubt.evidence for doubt in doubts)


async def test_a_song_whose_answer_was_cut_behind_the_id_is_delivered(
    make: MakeProvider,
) -> None:
    """The last byte of the answer is lost: the id was seen, so the songs arrive."""
    async with (
        Sandbox(speed=600) as sandbox,
        cutting_relay(sandbox.base_url) as relay,
        Client(attrs.evolve(make(sandbox), base_url=relay.url)) as client,  # type: ignore[misc]  # a value
    ):
        await client.generate("uncut")
        relay.cut_after = relay.longest - 1
        assert len(await client.generate("cut")) == 2
        assert len(sandbox.ledger) == 2


async def test_control_asking_again_after_a_doubt_pays_twice() -> None:
    """The ledger would show it: who repeats a submit in doubt is charged again."""
    async with Sandbox() as sandbox, cutting_relay(sandbox.base_url) as relay:
        async with Client(attrs.evolve(sandbox.udioapi_v2(), base_url=relay.url)) as client:
            relay.cut_after = 0
            with pytest.raises(SubmitInDoubt):
                await client.submit("a song")
            relay.cut_after = None
            await client.submit("a song")
        assert len(sandbox.ledger) == 2
