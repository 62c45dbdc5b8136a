"""A pytest plugin that runs the suite on httpx2: `pytest -p tests.kit.alias_httpx2`."""

import httpx2

httpx2.alias_httpx()
