"""A ChromaDB server: one client a process and address.

ChromaDB shares its connections between the clients of one address, and leaves them open when the last of
them is closed.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from executor.stores.chromadb.telling import told

if TYPE_CHECKING:
    from chromadb.api import ClientAPI


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens."""

    host: str
    port: int
    ssl: bool = False

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(slots=True)
class _Held:
    client: ClientAPI
    users: int = 0


_held: dict[Address, _Held] = {}
_guard = threading.Lock()


def open_server(name: str, address: Address) -> ClientAPI:
    """A client of the server. Raises StoreUnavailable if it does not answer."""
    with _guard:
        held = _held.get(address)
        if held is None:
            held = _held[address] = _Held(_client(name, address))
        held.users += 1
        return held.client


def close_server(name: str, address: Address) -> None:
    """End one use of the server; the last one closes the connections."""
    with _guard:
        held = _held.get(address)
        if held is None:
            return
        held.users -= 1
        if held.users == 0:
            del _held[address]
            with told(name):
                for client in (held.client, getattr(held.client, "_admin_client", None)):
                    connections = getattr(getattr(client, "_server", None), "_session", None)
                    if connections is not None:
                        connections.close()
                held.client.close()


def _client(name: str, address: Address) -> ClientAPI:
    with told(name):
        import chromadb
        from chromadb.config import Settings

        return chromadb.HttpClient(
            host=address.host,
            port=address.port,
            ssl=address.ssl,
            settings=Settings(anonymized_telemetry=False),
        )
