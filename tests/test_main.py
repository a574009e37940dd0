"""The entry point of the ``dcgen`` script, and how signals end it."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.process import ROOT

SLOW_IMPORT = """
import builtins, sys, time
real = builtins.__import__
def slow(name, *rest):
    if name.startswith("dcgen.command"):
        print("loading", flush=True)
        time.sleep(60)
    return real(name, *rest)
builtins.__import__ = slow
sys.argv = ["dcgen", "targets"]
"""
SWALLOWED = """
import sys, time
class Swallows:
    def __del__(self):
        print("loading", flush=True)
        time.sleep(60)
import dcgen.command.app as app
app.targets_ = None
def run():
    Swallows()
    time.sleep(60)
app.app = run
sys.argv = ["dcgen", "targets"]
"""
THREADS = """
import subprocess, sys, threading, time
import dcgen.command.app as app
from dcgen.files import temporary_folder
def run():
    with temporary_folder("dcgen-test-") as folder:
        command = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
        (folder / "x").write_text("x")
        threading.Thread(target=lambda: subprocess.run([sys.executable, "-c", command])).start()
        time.sleep(0.5)
        print("loading", flush=True)
        time.sleep(60)
app.app = run
sys.argv = ["dcgen", "targets"]
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("phase", [SLOW_IMPORT, SWALLOWED, THREADS], ids=["imports", "finaliser", "children"])
def test_a_signal_ends_the_run_in_one_line_wherever_it_is(tmp_path, phase, number):
    """During an import, in a finaliser that would swallow an exception, with threads that wait for programs."""
    code = f"{phase}\nfrom dcgen.__main__ import main\nmain()"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # shells in the background ignore SIGINT
    )
    assert process.stdout is not None and process.stdout.readline() == "loading\n"
    started = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=30)  # ends with the last process that holds the pipe
    assert time.monotonic() - started < 20
    assert (process.returncode, err) == (128 + number, "dcgen: interrupted\n")
    assert not list(tmp_path.glob("dcgen*"))


def test_a_signal_that_is_ignored_stays_ignored():
    code = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); from dcgen import stopping; "
    code += "stopping.install(); import os; os.kill(os.getpid(), signal.SIGINT); print('alive')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "alive\n"


@pytest.mark.parametrize("arguments", [["targets", "--json"], ["targets"], ["--help"], ["compile", "--help"]])
def test_a_reader_that_leaves_causes_no_message(arguments):
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "dcgen", *arguments]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, env=env, check=False)
    os.close(write)
    assert done.stderr == ""
    assert done.returncode in (1, 141)


@pytest.mark.parametrize("descriptor", [1, 2])
def test_a_closed_stream_causes_no_traceback(descriptor):
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = f"exec {sys.executable} -m dcgen targets --json {descriptor}>&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=env, check=False)
    assert (done.returncode, done.stderr) == (0, "")
