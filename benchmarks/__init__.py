"""One file per question a user would ask: `python -m benchmarks.NAME [--quick] [--json]`."""
