"""Run the command line as ``python -m facial_expressions``."""

from __future__ import annotations

import sys

from facial_expressions.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
