"""A local server that speaks the embeddings API, and misbehaves when it is told to."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-very-secret-0123456789"


class Handler(BaseHTTPRequestHandler):
    """Answers one request as the next of the server's behaviours says, or well."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.question = json.loads(self.rfile.read(length))
        self.server.requests.append((self.path, self.headers["Authorization"], self.question))
        behaviours = self.server.behaviours
        behaviour = behaviours.pop(0) if behaviours else self.server.always
        behaviour(self)

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        """Send a whole answer."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


Behaviour = Callable[[Handler], None]


class Server(ThreadingHTTPServer):
    """``behaviours`` are used up one by one, then ``always`` answers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, str | None, dict[str, Any]]] = []
        self.behaviours: list[Behaviour] = []
        self.always: Behaviour = well
        self.released = threading.Event()

    @property
    def url(self) -> str:
        """The base address."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is no news."""


@contextmanager
def serving() -> Iterator[Server]:
    """A server for the time of a test."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


def vector_of(text: str) -> list[float]:
    """The vector that the server gives a text."""
    return [float(len(text)), float(ord(text[0])), 1.0]


def data_of(question: dict[str, Any]) -> list[dict[str, Any]]:
    """The answer's data, in order."""
    return [
        {"object": "embedding", "index": at, "embedding": vector_of(text)}
        for at, text in enumerate(question["input"])
    ]


def answer(handler: Handler, data: object) -> None:
    """Send data as the API does."""
    handler.reply(200, json.dumps({"object": "list", "data": data}).encode())


def well(handler: Handler) -> None:
    """As it should be."""
    answer(handler, data_of(handler.question))


def backwards(handler: Handler) -> None:
    """Right, in another order."""
    answer(handler, data_of(handler.question)[::-1])


def in_base64(handler: Handler) -> None:
    """Vectors as base64, which some endpoints always send."""
    from base64 import b64encode

    data = data_of(handler.question)
    for item in data:
        item["embedding"] = b64encode(struct.pack("<3f", *item["embedding"])).decode()
    answer(handler, data)


def status(number: int, message: str = "", code: str = "", **headers: str) -> Behaviour:
    """An error of the API's form."""
    body = json.dumps({"error": {"message": message, "code": code, "type": "x"}}).encode()
    return lambda handler: handler.reply(number, body, **headers)


def with_data(data: object) -> Behaviour:
    """Whatever data."""
    return lambda handler: answer(handler, data)


def with_body(body: bytes) -> Behaviour:
    """Whatever body."""
    return lambda handler: handler.reply(200, body)


def refusing(bad: str, status_code: int = 400) -> Behaviour:
    """Refuses each request in which a text holds ``bad``."""

    def behave(handler: Handler) -> None:
        if any(bad in text for text in handler.question["input"]):
            status(status_code, f"input too long: {bad}")(handler)
        else:
            well(handler)

    return behave


def reset(handler: Handler) -> None:
    """Hang up without a word."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def cut(handler: Handler) -> None:
    """Promise more than is sent."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"data": [')
    handler.close_connection = True


def hang(handler: Handler) -> None:
    """Say nothing until the test is over."""
    handler.server.released.wait(60)
    handler.close_connection = True


def drip(handler: Handler) -> None:
    """Answer a byte at a time, without an end."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    while not handler.server.released.is_set():
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.05)
