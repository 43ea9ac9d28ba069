"""Runs Debian's chromium without a window: what a page looks like, prints as, and comes to once its script has run.

It starts in half a second to a second and a half; its profile is a new folder each time.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.real.folders import temporary_folder
from tests.real.packages import need_commands

COMMAND = "chromium"

# A page of 1 MB takes 3 s on one busy core; a browser that hangs is ended long before CI gives up.
TIMEOUT_SECONDS = 120

_FLAGS = (
    "--headless",
    "--no-sandbox",  # root has none
    "--disable-gpu",
    "--disable-dev-shm-usage",  # a container's /dev/shm may be 64 MiB
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # whatever a page asks the net for, it gets nothing
    "--enable-logging=stderr",
)
# `blink::mojom::PreferredColorScheme`: 0 dark, 1 light.
_DARK = "--blink-settings=preferredColorScheme=0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A page after its load event."""

    dom: str
    """The document as it then stood, as HTML."""
    console: tuple[str, ...]
    """What scripts, the parser and the security policy had to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Browser:
    """The browser on this machine."""

    path: Path

    def load(
        self, page: Path, *, fragment: str = "", dark: bool = False, size: tuple[int, int] = (1280, 900)
    ) -> Loaded:
        """Open a page and read it back."""
        ended = self._run(["--dump-dom", _window(size)], page, fragment=fragment, dark=dark)
        console = tuple(line for line in ended.stderr.splitlines() if ":CONSOLE" in line)
        return Loaded(dom=ended.stdout, console=console)

    def screenshot(self, page: Path, target: Path, *, dark: bool = False, size: tuple[int, int] = (1280, 900)) -> Path:
        """What the window shows, as PNG."""
        self._run([f"--screenshot={target}", _window(size)], page, dark=dark)
        return target

    def print(self, page: Path, target: Path, *, dark: bool = False) -> Path:
        """What the printer would get, as PDF."""
        self._run([f"--print-to-pdf={target}", "--no-pdf-header-footer"], page, dark=dark)
        return target

    def _run(
        self, arguments: Sequence[str], page: Path, *, fragment: str = "", dark: bool = False
    ) -> "subprocess.CompletedProcess[str]":
        url = page.resolve().as_uri() + (f"#{fragment}" if fragment else "")
        with _profile() as profile:
            command = [
                str(self.path),
                *_FLAGS,
                f"--user-data-dir={profile}",
                *([_DARK] if dark else []),
                *arguments,
                url,
            ]
            # It starts processes of its own; in a session of their own they can be ended together.
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            try:
                out, told = process.communicate(timeout=TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                pytest.fail(f"{COMMAND} did not end within {TIMEOUT_SECONDS} s: {' '.join(command)}")
            finally:
                if process.returncode is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.communicate()
        if process.returncode != 0:
            pytest.fail(f"{COMMAND} ended with {process.returncode}: {told[-2000:]}")
        return subprocess.CompletedProcess(command, process.returncode, out, told)


def need_browser() -> Browser:
    """The browser, after installing Debian's package where it is missing."""
    return Browser(path=need_commands(COMMAND)[COMMAND])


def _window(size: tuple[int, int]) -> str:
    return f"--window-size={size[0]},{size[1]}"


@contextmanager
def _profile() -> Iterator[Path]:
    folder = temporary_folder("browser")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
