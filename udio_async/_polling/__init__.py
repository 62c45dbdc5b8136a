"""Looking at every song in flight: when (`schedule`), in which order (`agenda`), and the looks."""

from .policy import PollPolicy
from .poller import Poller
from .tracked import TrackedTask

__all__ = ["PollPolicy", "Poller", "TrackedTask"]
