"""Questions to a driver, put by a process that can be left behind.

A sick driver can keep a caller in the kernel for ever, or kill it. So a forked child says on a pipe which call it
is about to make and then what came back; the parent listens until the deadline and keeps whatever was answered by
then. Fork before any thread is started.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from gpudoctor.readings import Reading, Unread, Why

T = TypeVar("T")

# A killed child is gone within milliseconds, on a busy machine too, unless the kernel holds it.
_BURIAL_SECONDS = 0.2

# Room for a whole interview, so that no child waits for a parent that is busy elsewhere: 16 GPUs say 0.2 MB. It is
# what any user may have. pipe(7), /proc/sys/fs/pipe-max-size
_PIPE_BYTES = 1 << 20


# --- The parent ---


class Child:
    """A process that puts questions, and what it has said. It is dead when the block ends."""

    def __init__(self, interview: Callable[[Speaker], None], key: str, call: str) -> None:
        """Start it; `key` and `call` are its first question, for what goes wrong before it says a word."""
        self.transcript = Transcript(key, call)
        self._begun = time.monotonic()
        self._rest = b""
        self._process: int | None = None
        try:
            self._process, self._pipe = _fork(interview)
        except OSError as error:
            self.transcript.end(Why.FAILED, f"no process to ask in: {error.strerror}")

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        _bury((self,))

    def _hear(self) -> bool:
        """Take what lies in the pipe; False where it was closed."""
        received = os.read(self._pipe, _PIPE_BYTES)
        *lines, self._rest = (self._rest + received).split(b"\n")
        for line in lines:
            self.transcript.add(*json.loads(line))
        return bool(received)


def listen(children: Sequence[Child], deadline: float) -> None:
    """Hear all of them out until they end or the deadline passes; none is left afterwards.

    What is in state D dies when the driver lets go of it, which may be never: it is left behind.
    """
    talking = {child._pipe: child for child in children if child._process is not None}
    poller = select.poll()
    for pipe in talking:
        poller.register(pipe, select.POLLIN)
    late = False
    while talking and not late:
        remaining = deadline - time.monotonic()
        # Too late, too, what was said in time is heard: the caller may have been busy elsewhere.
        late = remaining <= 0
        for pipe, _ in poller.poll(0 if late else max(1, int(remaining * 1000))):
            if not talking[pipe]._hear():
                poller.unregister(pipe)
                del talking[pipe]
    states = {pipe: _state(child._process) for pipe, child in talking.items()}
    asked = [child for child in children if child._process is not None]
    for child, ending in zip(asked, _bury(asked), strict=True):
        if child._pipe in talking:
            survived = "" if ending is not None else f"; it does not die when killed{_state(child._process)}"
            limit = max(0.0, round(deadline - child._begun, 1))
            child.transcript.end(Why.TIMEOUT, f"no answer within {limit:g} s{states[child._pipe]}{survived}")
        elif not child.transcript.complete:
            child.transcript.end(Why.FAILED, _death(ending))
        child._process = None


def _fork(interview: Callable[[Speaker], None]) -> tuple[int, int]:
    """The child's process id and the end of the pipe to read from."""
    reader, writer = os.pipe()
    with contextlib.suppress(OSError):
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    parent = os.getpid()
    try:
        process = os.fork()
    except OSError:
        os.close(reader)
        os.close(writer)
        raise
    if process == 0:
        _run(interview, writer, parent)
    os.close(writer)
    return process, reader


def _state(process: int | None) -> str:
    """What a process that does not answer is doing: state D is the driver's doing, R and S may be ours."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace")
        # The second field is the program's name in brackets, and may hold blanks.
        state = stat.rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""
    try:
        where = Path(f"/proc/{process}/wchan").read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        where = ""
    return f" (process state {state}{f', in {where}' if where not in ('', '0') else ''})"


def _bury(children: Sequence[Child]) -> list[int | None]:
    """Kill them and what they started; the wait status of each, None of one that does not die."""
    alive = [child for child in children if child._process is not None]
    for child in alive:
        assert child._process is not None
        os.close(child._pipe)
        try:
            os.killpg(child._process, signal.SIGKILL)
        except OSError:
            # It had no time yet to become the leader of a group of its own.
            with contextlib.suppress(OSError):
                os.kill(child._process, signal.SIGKILL)
    give_up = time.monotonic() + _BURIAL_SECONDS
    return [_ending(child._process, give_up) for child in alive if child._process is not None]


def _ending(process: int, give_up: float) -> int | None:
    while True:
        try:
            buried, status = os.waitpid(process, os.WNOHANG)
        except ChildProcessError:
            # Whoever started us ignores SIGCHLD, so the kernel buries children unseen: its status is lost.
            return 0
        if buried:
            return status
        if time.monotonic() > give_up:
            return None
        time.sleep(0.005)


def _death(ending: int | None) -> str:
    if ending is None or not os.WIFSIGNALED(ending):
        return "the process that asked ended without an answer"
    number = os.WTERMSIG(ending)
    if number == signal.SIGKILL:
        return "the process that asked was killed from outside"
    return f"the library crashed: {signal.strsignal(number)} (signal {number})"


class Transcript:
    """What a child said, by question. The key of a question about a GPU begins with its index and a full stop."""

    def __init__(self, key: str, call: str) -> None:
        self.complete = False
        self._answers: dict[str, tuple[str, Any]] = {}
        self._unread: dict[str, Unread] = {}
        self._pending: tuple[str, str] | None = (key, call)
        self._stopped_at = "it was not asked"

    def add(self, word: str, key: str = "", call: str = "", *more: Any) -> None:
        """One line of the child."""
        self._pending = (key, call) if word == "asking" else None
        if word == "answered":
            self._answers[key] = (call, more[0])
        elif word == "unread":
            why, detail, code = more
            self._unread[key] = Unread(source=call, why=Why(why), detail=detail, code=code)
        elif word == "end":
            self.complete = True

    def end(self, why: Why, detail: str) -> None:
        """The child says no more: the question it was at gets this reason, those behind it point to it."""
        self._stopped_at = detail
        if self._pending is not None:
            key, call = self._pending
            self._unread[key] = Unread(source=call, why=why, detail=detail)
            self._stopped_at = f"{call}{_of_gpu(key)} came first and gave no answer"

    def reading(self, key: str, calls: tuple[str, ...], convert: Callable[[Any], T]) -> Reading[T]:
        """The answer to a question, or why there is none."""
        if key in self._unread:
            return self._unread[key]
        if key not in self._answers:
            return Unread(source=calls[0], why=Why.NOT_ASKED, detail=self._stopped_at)
        call, value = self._answers[key]
        try:
            return convert(value)
        except (TypeError, ValueError) as error:
            return Unread(source=call, why=Why.GARBLED, detail=str(error))


def _of_gpu(key: str) -> str:
    index, dot, _ = key.partition(".")
    return f" of GPU {index}" if dot else ""


# --- The child ---


class Speaker:
    """The child's end of the pipe."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def asking(self, key: str, call: str) -> None:
        """The call that is made next: whatever happens from now on is its doing."""
        self._say("asking", key, call)

    def answered(self, key: str, call: str, value: object) -> None:
        """What it gave, in JSON types."""
        self._say("answered", key, call, value)

    def unread(self, key: str, call: str, why: Why, detail: str, code: int | None = None) -> None:
        """Why it gave nothing."""
        # One line, and nothing that a terminal would obey.
        shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in detail)
        self._say("unread", key, call, why.value, shown, code)

    def end(self) -> None:
        """Nothing more will be asked."""
        self._say("end")

    def _say(self, *words: object) -> None:
        line = json.dumps(words).encode() + b"\n"
        while line:
            line = line[os.write(self._pipe, line) :]


def why_not_loaded(library: str, words: str) -> Why:
    """Why the loader, in its own words, could not load a library."""
    if "Permission denied" in words:
        return Why.FORBIDDEN
    # A library that is there and lacks one of its own reports the other's name.
    if f"{library}: " in words and "No such file" in words:
        return Why.ABSENT
    return Why.FAILED


def _run(interview: Callable[[Speaker], None], pipe: int, parent: int) -> NoReturn:
    """Everything that happens after the fork; never returns, never speaks but through the pipe."""
    status = 1
    try:
        speaker = Speaker(_detach(pipe, parent))
        interview(speaker)
        speaker.end()
        status = 0
    finally:
        # No handler of the parent's, no flushing of its buffers, no traceback.
        os._exit(status)


def _detach(pipe: int, parent: int) -> int:
    """Cut the child off from the parent's files, signals and terminal; the pipe's new number."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    os.setsid()
    # Whatever a child in state D keeps open stays open for ever: a stdout whose reader waits for its end, a
    # lock of the caller. Nothing is kept but the pipe, and no program that the library starts inherits it.
    # The pipe moves first: its number is 0, 1 or 2 where the caller was started with those closed.
    kept = 3
    if pipe != kept:
        os.dup2(pipe, kept, inheritable=False)
    silence = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(silence, standard)
    # Not a range up to the limit: containers set it to a thousand million.
    for descriptor in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        if descriptor > kept:
            # The listing's own descriptor is in the list, and closed by now.
            with contextlib.suppress(OSError):
                os.close(descriptor)
    _die_with(parent)
    return kept


def _die_with(parent: int) -> None:
    """End with the parent, however it ends, and leave no core file behind."""
    import ctypes
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    set_parent_death_signal = 1  # PR_SET_PDEATHSIG of <linux/prctl.h>
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
