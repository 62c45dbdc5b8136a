"""The polling room: when to look at tasks, and the looks.

`poller` looks; `agenda` has the order, `timetable` and `schedule` the times, `look_results` and
`judgement` what looks mean. `tracked` is one task, `registry` all of them. `reachability` knows
whether the provider answers, `pace` whether it is a sandbox. Only `poller` sleeps and sends.

`schedule` learns how long songs take (`durations`) and weighs when a look is worth it (`looks`).
"""

from .policy import PollPolicy
from .poller import Poller
from .tracked import TrackedTask

__all__ = ["PollPolicy", "Poller", "TrackedTask"]
