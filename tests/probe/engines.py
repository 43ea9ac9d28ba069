"""Engines that answer as they please, on a real Unix socket."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

Answer = Callable[[socket.socket, str], None]
"""Says something on the connection; the path that was asked for is given."""


@contextlib.contextmanager
def engine(path: Path, answer: Answer) -> Iterator[None]:
    """Listens at `path` until the end of the block; connections that are kept open are closed then."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(path))
    server.listen()
    open_ones: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            open_ones.append(connection)
            threading.Thread(target=converse, args=(connection,), daemon=True).start()

    def converse(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            request = connection.recv(65536).decode()
            answer(connection, request.split(" ")[1] if " " in request else "")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()
        for connection in open_ones:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()


def http(status: int, body: bytes, *headers: str, length: int | None = None) -> bytes:
    """An HTTP answer; `length` lies about its body."""
    lines = (f"HTTP/1.1 {status} Said", f"Content-Length: {len(body) if length is None else length}", *headers, "", "")
    return "\r\n".join(lines).encode() + body


def says(answers: dict[str, object]) -> Answer:
    """Answers every known path with JSON, any other with 404, and closes."""

    def answer(connection: socket.socket, path: str) -> None:
        known = path in answers
        connection.sendall(http(200 if known else 404, json.dumps(answers.get(path)).encode()))
        connection.shutdown(socket.SHUT_RDWR)

    return answer


def sends(content: bytes) -> Answer:
    """Sends these bytes whatever was asked, and closes."""

    def answer(connection: socket.socket, path: str) -> None:
        connection.sendall(content)
        connection.shutdown(socket.SHUT_RDWR)

    return answer
