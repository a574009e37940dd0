"""The ``dcgen`` command: its subcommands, and how errors and signals end it."""

from __future__ import annotations

import signal
import sys
from io import TextIOWrapper
from types import FrameType
from typing import Annotated

import typer

from dcgen import __version__
from dcgen.command import arguments, console
from dcgen.command.compile import compile_
from dcgen.command.evaluate import eval_
from dcgen.command.frontier import frontier_
from dcgen.command.inspect import inspect_
from dcgen.command.model import model_
from dcgen.command.targets import targets_
from dcgen.command.verify import verify_
from dcgen.errors import BudgetError, DcgenError

app = typer.Typer(
    name="dcgen",
    help="Put a trained SqueezeNet-class CNN on a microcontroller: a compressed blob, C firmware that "
    "runs it without expanding it, and the proof that both equal one integer reference.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"dcgen {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


for _command in (compile_, frontier_, verify_, eval_, inspect_, model_, targets_):
    app.command(_command.__name__.rstrip("_"))(_command)


class _Stopped(BaseException):
    """SIGINT or SIGTERM has arrived. It is no KeyboardInterrupt: typer would end without a message."""

    def __init__(self, number: int) -> None:
        self.number = number


def _stop(number: int, _: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # a second signal must not interrupt the cleaning up
    raise _Stopped(number)


def main() -> None:
    """Run the command that ``sys.argv`` asks for.

    An error that a user can cause becomes one line on stderr and exit code 1, a signal exit code 128 + its number.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # characters that the locale's encoding lacks
    try:
        app()
    except DcgenError as e:
        if isinstance(e, BudgetError):
            console.print_table("Needed", e.headings, e.rows, console.stderr)
        console.print_error(arguments.with_flags(str(e)))
        sys.exit(1)
    except OSError as e:  # an error of the machine, not of the input: a full disk under stdout or TMPDIR
        console.print_error(f"{e.filename or 'output'}: {e.strerror or e}")
        sys.exit(1)
    except _Stopped as e:
        console.stderr.print("dcgen: interrupted")
        sys.exit(128 + e.number)


if __name__ == "__main__":
    main()
