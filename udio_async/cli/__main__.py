"""`python -m udio_async.cli` is `udio-async`."""

import sys

from . import main

sys.exit(main())
