"""Starts what a plan says: pulls the image, proves TensorFlow in it, runs the command, leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import secrets
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

from gpudoctor import exit_codes
from gpudoctor.errors import LaunchError
from gpudoctor.facts import EngineFacts
from gpudoctor.plan import LABEL, LaunchPlan, to_docker_kwargs
from gpudoctor.readings import Unread, Why
from gpudoctor.sizes import bytes_in_words, pull_bytes

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

    from gpudoctor.smoke import Asked, SmokeReport

_T = TypeVar("_T")

# After the signal that ends the command, before the one that cannot be refused: as long as `docker stop` waits.
GRACE_SECONDS = 10.0

# The registry's answer is worth waiting for, but the pull itself will say what is wrong soon enough.
_REGISTRY_SECONDS = 10.0

# Of a smoke container's stderr, enough to see why it died.
_KEPT_STDERR_BYTES = 64 << 10

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class InterruptedBySignal(BaseException):
    """Somebody wants us to end; BaseException, so that no handler of ours swallows it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def exit_code(self) -> int:
        """130 for SIGINT, 143 for SIGTERM, as shells have it."""
        return 128 + self.number


class Signals:
    """SIGINT, SIGTERM and SIGHUP while a container may exist.

    Outside `deferred` and `watched` the first one raises InterruptedBySignal. Within `deferred` it waits for the
    end of the block; within `watched` it is handed to the loop, which passes it on to the container.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._held = 0
        self._wake: socket.socket | None = None
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Signals:
        for one in _ENDING:
            self._previous[one] = signal.signal(one, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for one, handler in self._previous.items():
            signal.signal(one, handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        first = self.received is None
        self.received = number
        if self._wake is not None:
            with contextlib.suppress(OSError):
                self._wake.send(bytes((number,)))
        elif self._held == 0 and first:
            raise InterruptedBySignal(number)

    def check(self) -> None:
        """Raise InterruptedBySignal when one has come."""
        if self.received is not None:
            raise InterruptedBySignal(self.received)

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """A block that must run to its end."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
        if self._held == 0:
            self.check()

    @contextlib.contextmanager
    def shielded(self) -> Iterator[None]:
        """A block of cleaning up: no signal interrupts it, nor its caller's exception."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1

    @contextlib.contextmanager
    def watched(self) -> Iterator[socket.socket]:
        """A loop that reads the numbers of signals from the socket it is given."""
        reader, writer = socket.socketpair()
        writer.setblocking(False)
        with reader, writer:
            self._wake = writer
            try:
                yield reader
            finally:
                self._wake = None


@dataclass(slots=True)
class Launch:
    """One launch: what it did so far, for the report. Used once, by one thread."""

    client: DockerClient
    signals: Signals
    say: Callable[[str], None]
    """A line for people."""
    progress: bool
    """Standard error is a terminal: show a bar for every layer."""
    stages: list[tuple[str, float]] = field(default_factory=list)
    pulled: bool = False
    packed_bytes: int | None = None
    digest: str = ""
    smoke: SmokeReport | None = None
    container_id: str = ""
    exit_code: int | None = None
    oom_killed: bool | None = None
    memlock_refused: bool = False

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage, however it ends."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.stages.append((name, round(time.monotonic() - start, 3)))

    def ensure_image(self, reference: str, architecture: str, engine: EngineFacts, policy: str) -> None:
        """Have the image on the engine: `missing` pulls what is not there, `always` pulls, `never` does not.

        Raises LaunchError when it cannot be had.
        """
        import docker.errors

        with _asking_engine("the engine does not answer"):
            try:
                present = self.client.images.get(reference)
            except docker.errors.ImageNotFound:
                present = None
        if present is None and policy == "never":
            raise LaunchError(
                f"{reference} is not on this machine, and --pull never forbids to fetch it",
                "pull it first, or leave out --pull never",
            )
        if present is None or policy == "always":
            self._pull(reference, architecture, engine)
            with _asking_engine(f"{reference} was pulled and is not there"):
                present = self.client.images.get(reference)
        digests = present.attrs.get("RepoDigests") or []
        self.digest = next((text.partition("@")[2] for text in digests), "") or str(present.id)

    def _pull(self, reference: str, architecture: str, engine: EngineFacts) -> None:
        from gpudoctor.registry import RegistryError, image_size

        try:
            found = image_size(reference, architecture, _REGISTRY_SECONDS)
        except RegistryError as error:
            # The engine may reach what we do not, through its own proxy or mirror: its word is the last one.
            size = f"size not known beforehand: {error}"
        else:
            self.packed_bytes = found.packed_bytes
            size = f"{bytes_in_words(found.packed_bytes)} in {found.layers} layers"
            _check_disk(reference, found.packed_bytes, engine)
        self.say(f"pulling {reference} ({size})")
        start = time.monotonic()
        _pull_and_show(self.client, reference, self.progress)
        self.pulled = True
        self.say(f"pulled in {time.monotonic() - start:.0f} s")

    def prove(self, plan: LaunchPlan, asked: Asked, timeout_seconds: float) -> SmokeReport:
        """Run the smoke script in a container of its own, started just as the command's will be.

        Raises LaunchError when that container cannot be started; what the test found is in the report.
        """
        from gpudoctor.smoke import arguments

        words = arguments(asked.device, asked.level, asked.only, asked.seed, asked.extras, asked.stress_seconds)
        trial = replace(plan, command=("python", "-", *words), interactive=True, tty=False)
        try:
            self.smoke = self._within_limits(trial, lambda granted: self._prove(granted, asked, timeout_seconds))
        except LaunchError as error:
            if error.exit_code in (exit_codes.NOT_FOUND, exit_codes.NOT_EXECUTABLE):
                hint = "is it a TensorFlow image? --smoke off starts it unproved"
                raise LaunchError(f"{plan.image} has no python to run the smoke test with", hint) from None
            raise
        return self.smoke

    def _prove(self, trial: LaunchPlan, asked: Asked, timeout_seconds: float) -> SmokeReport:
        from gpudoctor.smoke import Listener, conclude, ending, script

        listener, talk, status = Listener(), _Tail(), None
        with self._container(trial) as container:
            streams = _Streams(tty=False, stdin=None, preset=script(), out=listener.feed, err=talk.add)
            in_time = self._attend(container, streams, timeout_seconds)
            if in_time:
                status = self._wait(container)
        self.signals.check()
        return conclude(
            listener,
            asked=asked,
            # A container killed by signal N ends with 128 + N.
            ended=ending(128 - status if status is not None and status > 128 else status)
            if in_time
            else f"no answer within {timeout_seconds:g} s",
            timed_out=not in_time,
            clean=status == 0,
            causes=talk.lines(),
        )

    def run(self, plan: LaunchPlan) -> int:
        """Run the command attached to our own standard streams; its exit code.

        Raises LaunchError with Docker's 126 or 127 when the image has no such command.
        """
        return self._within_limits(plan, self._run)

    def _run(self, plan: LaunchPlan) -> int:
        stdin = 0 if plan.interactive and _is_open(0) else None
        with self._container(plan) as container:
            self.container_id = str(container.id)
            with _raw_terminal(plan.tty), _resized(container, plan.tty) as resize:
                streams = _Streams(
                    tty=plan.tty, stdin=stdin, preset=b"", out=_writer(1), err=_writer(2), started=resize
                )
                try:
                    self._attend(container, streams, None)
                except BrokenPipeError:
                    # Whoever read our output is gone, as in `| head`: the command ends as it would without us.
                    container.kill()
                    self.exit_code = 128 + signal.SIGPIPE
                    return self.exit_code
            self.exit_code = self._wait(container)
            with contextlib.suppress(Exception):
                container.reload()
                self.oom_killed = bool(container.attrs["State"]["OOMKilled"])
        self.signals.check()
        return self.exit_code

    def _within_limits(self, plan: LaunchPlan, attempt: Callable[[LaunchPlan], _T]) -> _T:
        """Start with the limits asked for, and without unlimited memlock where the engine may not grant it."""
        try:
            return attempt(replace(plan, memlock=plan.memlock and not self.memlock_refused))
        except _LimitRefusedError as error:
            self.memlock_refused = True
            self.say(f"the engine may not lift the limit on locked memory ({error}): going on without it")
            return attempt(replace(plan, memlock=False))

    @contextlib.contextmanager
    def _container(self, plan: LaunchPlan) -> Iterator[Container]:
        """A created container that is gone afterwards, whatever happens.

        It has a name from the start: an engine that made it after we stopped waiting is swept as well.
        """
        name = plan.name or f"{LABEL}-{os.getpid()}-{secrets.token_hex(4)}"
        try:
            with self.signals.deferred(), _asking_engine("the engine cannot make the container"):
                container = self.client.containers.create(**to_docker_kwargs(replace(plan, name=name)))
            yield container
        finally:
            self._remove(name)

    def _remove(self, name: str) -> None:
        import docker.errors

        with self.signals.shielded():
            try:
                with _asking_engine("the engine does not answer"), contextlib.suppress(docker.errors.NotFound):
                    self.client.api.remove_container(name, force=True, v=True)
            except LaunchError as error:
                self.say(f"the container {name} could not be removed: {error}; docker rm -f {name}")

    def _wait(self, container: Container) -> int:
        with _asking_engine("the engine was lost while the container ran"):
            return int(container.wait(timeout=None)["StatusCode"])

    def _attend(self, container: Container, streams: _Streams, limit_seconds: float | None) -> bool:
        """Attach, start, and pass bytes until the container's streams end.

        False when `limit_seconds` passed first. A signal of ours is passed on; a container that does not end within
        the grace time after it, or before the next one, is killed.
        """
        with self._attached(container) as connection, self.signals.watched() as wake:
            self._start(container)
            streams.started()
            deadline = None if limit_seconds is None else time.monotonic() + limit_seconds
            exchange = _Exchange(connection, streams, wake)
            passed_on = False
            while not exchange.ended:
                if deadline is not None and time.monotonic() >= deadline:
                    if self.signals.received is not None:
                        container.kill()
                    return self.signals.received is not None
                for number in exchange.step(deadline):
                    impatient, passed_on = passed_on, True
                    with contextlib.suppress(Exception):  # it may have ended by itself just now
                        container.kill(signal=signal.SIGKILL if impatient else number)
                    deadline = time.monotonic() + GRACE_SECONDS
            return True

    @contextlib.contextmanager
    def _attached(self, container: Container) -> Iterator[socket.socket]:
        wanted = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        with _asking_engine("the engine does not let us attach"):
            response = self.client.api.attach_socket(str(container.id), params=wanted)
        with contextlib.closing(response):
            # docker-py hands out the file that it read the HTTP headers from; the connection is below it.
            connection: socket.socket = response._sock
            connection.settimeout(None)
            yield connection

    def _start(self, container: Container) -> None:
        import docker.errors

        try:
            container.start()
        except docker.errors.DockerException as error:
            raise _not_started(_message(error), _exit_code(container)) from None


@contextlib.contextmanager
def _asking_engine(trouble: str) -> Iterator[None]:
    """Turn what docker-py and the connection below it raise into a LaunchError that begins with `trouble`."""
    import docker.errors
    import requests

    try:
        yield
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise LaunchError(f"{trouble}: {_message(error)}", "gpudoctor check --engine looks at the engine") from None


def _exit_code(container: Container) -> int | None:
    """What dockerd noted for a container that it could not start: 126 and 127 as a shell has them."""
    import docker.errors

    try:
        container.reload()
        return int(container.attrs["State"]["ExitCode"])
    except (docker.errors.DockerException, KeyError, TypeError, ValueError):
        return None


class _LimitRefusedError(Exception):
    """The engine may not raise a resource limit."""


def _not_started(message: str, exit_code: int | None) -> Exception:
    """Why the engine did not start a container, from its words and the exit code that it noted."""
    lower = message.lower()
    # runc's own words stand at the end: `… unable to start container process: exec: "x": not found: unknown`.
    brief = message.rpartition("unable to start container process: ")[2].removesuffix(": unknown")
    if "error setting rlimit" in lower:
        return _LimitRefusedError("operation not permitted" if "not permitted" in lower else message)
    if "could not select device driver" in lower or "nvidia-container-cli" in lower or "unresolvable cdi" in lower:
        hint = "gpudoctor check --engine names the cause and the fix"
        return LaunchError(f"the engine cannot hand out the GPUs: {message}", hint)
    if exit_code == exit_codes.NOT_FOUND:
        return LaunchError(f"the image has no such command: {brief}", "", exit_codes.NOT_FOUND)
    if exit_code == exit_codes.NOT_EXECUTABLE:
        return LaunchError(f"the command cannot be executed: {brief}", "", exit_codes.NOT_EXECUTABLE)
    return LaunchError(
        f"the engine cannot start the container: {message}", "gpudoctor check --engine looks at the engine"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Streams:
    """What goes into a container, and where what comes out goes."""

    tty: bool
    stdin: int | None
    """File descriptor to read from; None: only `preset`, then the end of input."""
    preset: bytes
    out: Callable[[bytes], None]
    err: Callable[[bytes], None]
    started: Callable[[], None] = lambda: None
    """Called once the container runs."""


class _Exchange:
    """Passes bytes between our streams and an attached container.

    Without a terminal the engine sends frames: stream number, three zeros, length, payload.
    https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerAttach (2026-11)
    """

    def __init__(self, connection: socket.socket, streams: _Streams, wake: socket.socket) -> None:
        self.ended = False
        self._connection = connection
        self._streams = streams
        self._wake = wake
        self._unsent = bytearray(streams.preset)
        self._input_open = True
        self._frames = bytearray()

    def step(self, deadline: float | None) -> tuple[int, ...]:
        """Wait for one event and handle it; the signals that came."""
        # A poll object: epoll refuses plain files, which standard input often is.
        with selectors.PollSelector() as selector:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
            selector.register(self._connection, events)
            selector.register(self._wake, selectors.EVENT_READ)
            if self._streams.stdin is not None and self._input_open and not self._unsent:
                selector.register(self._streams.stdin, selectors.EVENT_READ)
            timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready = selector.select(timeout)
        signals: tuple[int, ...] = ()
        for key, mask in ready:
            if key.fileobj is self._wake:
                signals = tuple(self._wake.recv(16))
            elif key.fileobj is self._connection:
                if mask & selectors.EVENT_WRITE:
                    self._send()
                if mask & selectors.EVENT_READ:
                    self._receive()
            else:
                self._read_input()
        if self._input_open and self._streams.stdin is None and not self._unsent:
            self._close_input()
        return signals

    def _send(self) -> None:
        try:
            sent = self._connection.send(self._unsent)
        except OSError:  # the container closed its input; it still may speak
            self._unsent.clear()
            return
        del self._unsent[:sent]

    def _read_input(self) -> None:
        assert self._streams.stdin is not None
        try:
            data = os.read(self._streams.stdin, 1 << 16)
        except OSError:  # a terminal that went away
            data = b""
        if data:
            self._unsent += data
        else:
            self._close_input()

    def _close_input(self) -> None:
        self._input_open = False
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)

    def _receive(self) -> None:
        try:
            data = self._connection.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            self.ended = True
        elif self._streams.tty:
            self._streams.out(data)
        else:
            self._frames += data
            self._deliver()

    def _deliver(self) -> None:
        while len(self._frames) >= 8:
            length = int.from_bytes(self._frames[4:8], "big")
            if len(self._frames) < 8 + length:
                return
            payload = bytes(self._frames[8 : 8 + length])
            receiver = self._streams.err if self._frames[0] == 2 else self._streams.out
            del self._frames[: 8 + length]
            receiver(payload)


class _Tail:
    """The end of what was written."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def add(self, data: bytes) -> None:
        """Take a piece."""
        self._kept += data
        del self._kept[:-_KEPT_STDERR_BYTES]

    def lines(self) -> tuple[str, ...]:
        """Its last lines, as far as they say something."""
        lines = (line.strip() for line in self._kept.decode("utf-8", "replace").splitlines())
        return tuple(line for line in lines if line and not line.startswith("gpudoctor: "))[-3:]


def _writer(descriptor: int) -> Callable[[bytes], None]:
    def write(data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]

    return write


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _raw_terminal(tty: bool) -> Iterator[None]:
    """Hand every key to the container, Ctrl-C too, and put the terminal back afterwards."""
    if not tty:
        yield
        return
    import termios
    import tty as terminal

    before = termios.tcgetattr(0)
    terminal.setraw(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _resized(container: Container, tty: bool) -> Iterator[Callable[[], None]]:
    """Keep the container's terminal as large as ours; what is yielded sets it, once the container runs."""
    if not tty:
        yield lambda: None
        return

    def resize(*_: object) -> None:
        with contextlib.suppress(Exception):  # it ended just now
            size = os.get_terminal_size(0)
            container.resize(size.lines, size.columns)

    before = signal.signal(signal.SIGWINCH, resize)
    try:
        yield resize
    finally:
        signal.signal(signal.SIGWINCH, before)


def connect(engine: EngineFacts) -> DockerClient:
    """A client of the engine that the probe found.

    Raises LaunchError with the fix when none answers.
    """
    if isinstance(engine.version, Unread) and engine.version.why is not Why.UNSUPPORTED:
        raise _no_engine(engine, engine.version)
    import docker

    if not hasattr(docker, "DockerClient"):
        # A folder named docker/ in the current directory passes for the package when that is missing.
        raise LaunchError("the Python package docker is not installed", "pip install docker")
    import docker.errors

    try:
        # Over TLS or SSH, docker-py reads the same environment that docker does.
        if isinstance(engine.version, Unread):
            return docker.from_env()
        return docker.DockerClient(base_url=engine.host)
    except docker.errors.DockerException as error:
        hint = "say where it is, as in DOCKER_HOST=unix:///var/run/docker.sock, or leave DOCKER_HOST unset"
        raise LaunchError(f"the engine at {engine.host} does not answer: {_message(error)}", hint) from None


def _no_engine(engine: EngineFacts, unread: Unread) -> LaunchError:
    if unread.why is Why.FORBIDDEN:
        message = f"this user may not use the container engine at {engine.host.removeprefix('unix://')}"
        return LaunchError(message, "sudo usermod -aG docker $USER, then log in again")
    hint = "start it (sudo systemctl start docker) or install it: https://docs.docker.com/engine/install/"
    return LaunchError(f"no container engine answers: {unread}", hint)


def _check_disk(reference: str, packed_bytes: int, engine: EngineFacts) -> None:
    free = engine.data_root_free_bytes
    if isinstance(free, Unread):
        return
    need = pull_bytes(packed_bytes)
    if free < need:
        raise LaunchError(
            f"{reference} needs about {bytes_in_words(need)} while it is pulled, and {bytes_in_words(free)} are free"
            f" below {engine.data_root}",
            "docker image prune -a, or move the engine's data-root to a larger disk",
        )


def _pull_and_show(client: DockerClient, reference: str, progress: bool) -> None:
    """Pull anonymously, with stored credentials only where that is refused: stale ones are refused everywhere."""
    try:
        _pull_once(client, reference, progress, auth={})
    except _UnauthorizedError:
        try:
            _pull_once(client, reference, progress, auth=None)
        except _UnauthorizedError as error:
            registry = reference.partition("/")[0]
            hint = f"docker login {registry}"
            if registry == "nvcr.io":
                hint += " with user $oauthtoken and an API key of https://ngc.nvidia.com as password"
            raise LaunchError(f"{registry} refuses {reference}: {error}", hint) from None


class _UnauthorizedError(Exception):
    pass


def _pull_once(client: DockerClient, reference: str, progress: bool, auth: dict[str, str] | None) -> None:
    import docker.errors
    import requests

    repository, _, tag = reference.rpartition(":")
    try:
        events = client.api.pull(repository, tag=tag, stream=True, decode=True, auth_config=auth)
        if progress:
            _show_bars(events)
        else:
            for event in events:
                _raise_if_failed(event)
    except _PullError as error:
        raise _pull_failed(reference, str(error)) from None
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise _pull_failed(reference, _message(error)) from None


class _PullError(Exception):
    pass


def _raise_if_failed(event: dict[str, Any]) -> None:
    if "error" in event:
        raise _PullError(str(event["error"]))


def _pull_failed(reference: str, message: str) -> Exception:
    """What a pull died of, from the words of dockerd."""
    lower = message.lower()
    registry = reference.partition("/")[0]
    if "unauthorized" in lower or "authentication required" in lower or "denied" in lower:
        return _UnauthorizedError(message)
    if "manifest unknown" in lower or "not found" in lower:
        hint = "gpudoctor matrix list names the tags that NVIDIA published; a mirror may hold fewer"
        return LaunchError(f"{registry} holds no {reference.partition('/')[2]}: {message}", hint)
    if "no space left" in lower:
        hint = "docker image prune -a, or move the engine's data-root to a larger disk"
        return LaunchError(f"the engine's disk is full: {message}", hint)
    if any(words in lower for words in ("connection refused", "no such host", "timeout", "deadline exceeded")):
        return LaunchError(
            f"the registry {registry} cannot be reached: {message}", "check the network, proxy or mirror"
        )
    return LaunchError(
        f"{reference} cannot be pulled: {message}", f"docker pull {reference} shows the same, step by step"
    )


def _show_bars(events: Iterator[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.fields[layer]}"),
        TextColumn("{task.description:<12}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        layers: dict[str, TaskID] = {}
        for event in events:
            _raise_if_failed(event)
            layer, status = event.get("id"), str(event.get("status", ""))
            if not isinstance(layer, str) or status.startswith("Pulling from"):
                continue
            if status == "Already exists":
                continue  # shared with an image that is here
            if layer not in layers:
                layers[layer] = bars.add_task(status, layer=layer[:12], total=None)
            detail = event.get("progressDetail") or {}
            if status == "Pull complete":
                total = bars.tasks[bars.task_ids.index(layers[layer])].total or 1
                bars.update(layers[layer], description=status, completed=total, total=total)
            else:
                bars.update(
                    layers[layer], description=status, completed=detail.get("current"), total=detail.get("total")
                )


def _message(error: Exception) -> str:
    """The engine's own words on one line, without docker-py's frame around them."""
    explanation = getattr(error, "explanation", None)
    text = explanation if isinstance(explanation, str) and explanation else str(error)
    return " ".join(text.split())
