"""Looking at every song in flight: when (`schedule`), in which order (`agenda`), and the looks.

`schedule` learns how long songs take (`durations`) and weighs when a look is worth it (`looks`).
"""

from .policy import PollPolicy
from .poller import Poller
from .tracked import TrackedTask

__all__ = ["PollPolicy", "Poller", "TrackedTask"]
