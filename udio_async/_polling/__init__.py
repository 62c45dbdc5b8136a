"""The polling room: it looks at tasks, and decides when.

`poller` sends the looks. `agenda` has the tasks in the order of their next look; `timetable` and
`schedule` say when that is. `look_results` and `judgement` decide what an answer means. `tracked`
is one task, `registry` all of them. `reachability` knows whether the provider answers, `pace` how
fast a sandbox is. Only `poller` sleeps and sends.

`schedule` learns how long songs take (`durations`) and how many fail early (`failures`), and weighs
when a look is worth its price (`looks`).
"""

from .policy import PollPolicy
from .poller import Poller
from .tracked import TrackedTask

__all__ = ["PollPolicy", "Poller", "TrackedTask"]
