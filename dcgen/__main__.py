"""The ``dcgen`` script and ``python -m dcgen``: an interrupt while modules load ends in one line, too."""

from __future__ import annotations

import sys


def main() -> None:
    """Load the command line, which takes seconds, and run it."""
    try:
        from dcgen.command.app import main as run
    except KeyboardInterrupt:
        print("dcgen: interrupted", file=sys.stderr)
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
