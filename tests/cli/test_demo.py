"""`udio-async demo`."""

from collections import Counter
from pathlib import Path

import miniaudio

from .conftest import environment, run_cli

SONG = "provider task_id id index title duration audio_url image_url lyrics tags model stage"
NAMES = f"{SONG} path cover sha256 size asked timeline error mismatch"
"""What scripts build on."""


def test_makes_songs_on_all_three_services(tmp_path: Path) -> None:
    """Without any key every service makes songs, and their files are MP3 of the stated length."""
    env = environment()
    del env["UDIOAPI_API_KEY"], env["APIFRAME_API_KEY"]
    ended = run_cli("demo", "--json", "--speed", 120, "--out", tmp_path / "demo", env=env)
    assert ended.code == 0, ended.err
    counts = Counter(line["provider"] for line in ended.lines)
    assert counts == {"udioapi-v1": 8, "udioapi-v2": 8, "apiframe": 8}
    for line in ended.lines:
        audio = miniaudio.decode(Path(line["path"]).read_bytes())
        assert audio.duration > 1
        assert abs(audio.duration - line["duration"]) < 0.1
    assert {" ".join(line) for line in ended.lines} == {NAMES}
    assert {line["stage"] for line in ended.lines} == {"complete"}
    assert [line["error"] for line in ended.lines if line["error"]] == []
