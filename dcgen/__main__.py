"""Entry point of the ``dcgen`` script and of ``python -m dcgen``.

Loading the command line takes seconds. What ends the process in one line on a signal is installed before that, as
Python would print a traceback.
"""

from __future__ import annotations

from dcgen import stopping


def main() -> None:
    """Load the command line and run it."""
    stopping.install()
    from dcgen.command.app import main as run

    run()


if __name__ == "__main__":
    main()
