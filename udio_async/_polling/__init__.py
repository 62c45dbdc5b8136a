"""Looking at every song in flight: when (`schedule`), in which order (`agenda`), and the looks."""

from .poller import Poller
from .schedule import PollPolicy
from .tracked import TrackedTask

__all__ = ["PollPolicy", "Poller", "TrackedTask"]
