"""What does it cost to know how long a song plays, and that all of it is there?

CPU of `measure` for a file of 4 MB of each kind, and how much that is of the SHA-256 of the same
bytes, which every saved song costs as well. Frames and pages are built by hand: of the size
that encoders make, with noise in them.

    python -m benchmarks.measuring [--quick] [--json]
"""

import argparse
import hashlib
import json
import random
import time
from collections.abc import Callable

import attrs

from tests.kit import sounds
from udio_async._formats import measure

SIZE = 4 * 1024 * 1024
GOAL = 2.0
"""Milliseconds per MB, of an MP3."""


@attrs.frozen(kw_only=True)
class Cost:
    """What one file has cost."""

    kind: str
    ms_per_mb: float
    of_sha256: float


def files() -> dict[str, bytes]:
    """Return a file of each kind, by what it is."""
    dice = random.Random(1)
    made = {}
    for kbits, code in ((64, 5), (128, 9), (320, 14)):
        length = 144 * kbits * 1000 // 44_100
        frame = bytes((0xFF, 0xFB, code << 4, 0xC4)) + dice.randbytes(length - 4)
        made[f"MP3, {kbits} kbit/s"] = frame * (SIZE // length)
    length = 370  # 128 kbit/s
    head = bytes((0xFF, 0xF1, 0x50, 0x80, length >> 3, (length & 7) << 5 | 0x1F, 0xFC))
    made["AAC, 128 kbit/s"] = (head + dice.randbytes(length - 7)) * (SIZE // length)
    made["WAV"] = sounds.wav(dice.randbytes(SIZE))
    block = [dice.randrange(-9000, 9000) for _ in range(4096)]
    frame = sounds.flac_frame(0, block)
    frames = SIZE // len(frame)
    head = sounds.flac_head(block=4096, total=4096 * (frames + 1))
    made["FLAC"] = head + frame * frames + sounds.flac_frame(frames, block)
    page = sounds.ogg_page(dice.randbytes(4000), flags=0, samples=1000)
    last = sounds.ogg_page(b"", flags=4, samples=8000)
    first = sounds.ogg_page(sounds.VORBIS, flags=2, samples=0)
    made["Ogg"] = first + page * (SIZE // len(page)) + last
    index = sounds.mp4_index(samples=SIZE // 370, size=370)
    made["MP4"] = sounds.FTYP + index + sounds.box(b"mdat", dice.randbytes(SIZE))
    return made


def least(work: Callable[[], object], runs: int) -> float:
    """Return the CPU milliseconds of the quickest of some runs."""
    times = []
    for _ in range(runs):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times) * 1000


def cost(kind: str, data: bytes, runs: int) -> Cost:
    if not measure(data).whole:
        raise AssertionError(f"{kind}: {measure(data).flaw}")
    ours = least(lambda: measure(data), runs)
    sha256 = least(lambda: hashlib.sha256(data).digest(), runs)
    megabytes = len(data) / 1024 / 1024
    return Cost(kind=kind, ms_per_mb=ours / megabytes, of_sha256=ours / sha256)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="5 runs of each instead of 25")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    costs = [cost(*each, runs=5 if options.quick else 25) for each in files().items()]
    worst = max(each.ms_per_mb for each in costs if each.kind.startswith("MP3"))
    if options.json:
        figures = {"costs": [attrs.asdict(each) for each in costs], "met": worst <= GOAL}
        print(json.dumps({"benchmark": "measuring", **figures}))
        return
    print("                   ms per MB   of its SHA-256")
    for each in costs:
        print(f"{each.kind:18} {each.ms_per_mb:9.3f} {each.of_sha256:13.1%}")
    verdict = "met" if worst <= GOAL else "MISSED"
    print(f"{worst:.2f} ms per MB of MP3 at most  {verdict} (goal: at most {GOAL})")


if __name__ == "__main__":
    main()
