"""The ``dcgen`` command: its subcommands, and how errors and signals end it."""

from __future__ import annotations

import os
import signal
import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from dcgen import __version__, stopping
from dcgen.command import arguments, console
from dcgen.command.compile import compile_
from dcgen.command.evaluate import eval_
from dcgen.command.explore import explore_
from dcgen.command.frontier import frontier_
from dcgen.command.inspect import inspect_
from dcgen.command.model import model_
from dcgen.command.targets import targets_
from dcgen.command.train import train_
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


for _command in (train_, explore_, compile_, frontier_, verify_, eval_, inspect_, model_, targets_):
    app.command(_command.__name__.rstrip("_"))(_command)


def main() -> None:
    """Run the command that ``sys.argv`` asks for.

    An error that a user can cause becomes one line on stderr and exit code 1. Where nobody reads stdout any more,
    as with ``| head``, the exit code is 141, and nothing is said. For signals see ``stopping``.
    """
    stopping.install()
    _open_streams()
    try:
        app()
    except DcgenError as e:
        if isinstance(e, BudgetError):
            console.print_table("Needed", e.headings, e.rows, console.stderr)
        console.print_error(arguments.with_flags(str(e)))
        sys.exit(1)
    except MemoryError:
        console.print_error(
            "the machine's memory does not suffice (a smaller network, or smaller or fewer samples)"
        )
        sys.exit(1)
    except OSError as e:  # an error of the machine, not of the input: a full disk under stdout or TMPDIR
        if isinstance(e, BrokenPipeError):
            _leave()
        console.print_error(f"{e.filename or 'output'}: {e.strerror or e}")
        sys.exit(1)
    finally:
        _flush()


def _open_streams() -> None:
    """Give stdout and stderr somewhere to write to, and a way to write characters that their encoding lacks."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started the process
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        stream = getattr(sys, name)
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def _flush() -> None:
    """Write what is still to be written, as Python itself would only print a traceback where that fails."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _leave()
    except OSError as e:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        console.print_error(f"output: {e.strerror or e}")
        os._exit(1)


def _leave() -> None:
    """End where stdout has no reader. Open folders have been removed by then, as an exception led here."""
    os._exit(128 + signal.SIGPIPE)


if __name__ == "__main__":
    main()
