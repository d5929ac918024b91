"""``python -m segdoor`` and the command ``segdoor``."""

from __future__ import annotations

import os
import sys
import warnings

from segdoor.cli.app import run_command_line
from segdoor.cli.torchrun import leave, num_processes


def main() -> None:
    """Run the command line and leave with its exit code."""
    # Threads that spin while they wait make a shared machine ten times slower; this must be set
    # before torch loads its thread pool.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # What libraries remark about damaged files is said by our own errors, in one line.
    warnings.simplefilter("ignore")
    code = run_command_line(sys.argv[1:])
    if num_processes() > 1:
        leave(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
