"""The whole test file of a provider: its recordings, which may be files, and one case."""

from pathlib import Path

import pytest

from udio_async import (
    AuthenticationFailed,
    BadAnswer,
    RequestRefused,
    SongRequest,
    Stage,
    SubmitInDoubt,
)
from udio_async.testing import KEY, ProviderCase, ProviderContract

from . import Toy

FILES = {
    "submit-ok.200.json": '{"id": 7001}',
    "submit-bad-key.401.json": '{"message": "who are you?"}',
    "submit-rude.400.json": '{"message": "no such words"}',
    "submit-late.500.json": '{"id": "t2", "message": "the answer was late"}',
    "submit-gateway.502.html": "<html></html>",
    "look-making.200.json": '{"id": "t1", "state": 1}',
    "look-made.200.json": (
        '{"state": 2, "tracks": [{"number": 4711, "url": "https://toy.example.com/1.mp3"}]}'
    ),
    "look-broken.200.json": '{"state": 3}',
    "look-new-word.200.json": '{"state": 99}',
    "look-gateway.502.html": "<html></html>",
    "me.200.json": '{"coins": 3}',
}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy")
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


class TestToy(ProviderContract):
    @pytest.fixture
    def case(self, recordings: Path) -> ProviderCase:
        return ProviderCase(
            provider=Toy(api_key=KEY),
            recordings=recordings,
            request=SongRequest(description="a bird"),
            path="/songs",
            body={"about": "a bird"},
            task_id="7001",
            accepted={"submit-ok": "7001", "submit-late": "t2"},
            refused={
                "submit-bad-key": AuthenticationFailed,
                "submit-rude": RequestRefused,
                "submit-gateway": SubmitInDoubt,
            },
            stages={
                "look-making": Stage.PROCESSING,
                "look-made": Stage.COMPLETE,
                "look-broken": Stage.FAILED,
            },
            failed_looks={"look-gateway": BadAnswer},
            run=("look-making", "look-made"),
            unknown_word="look-new-word",
            credits={"me": 3},
            unsupported=(SongRequest(lyrics="la"), SongRequest(description="x", title="y")),
        )
