"""Entry point of the ``dcgen`` script and of ``python -m dcgen``.

Loading the command line takes seconds; a Ctrl-C meanwhile ends in one line, as it does later on.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Load the command line and run it."""
    try:
        from dcgen.command.app import main as run
    except KeyboardInterrupt:
        print("dcgen: interrupted", file=sys.stderr)
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
