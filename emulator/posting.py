"""A small HTTP/1.1 client: POST, read the status, keep the connection."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

import httptools

TIMEOUT = 10.0
"""Seconds for a whole exchange, connecting included."""

Address = tuple[bool, str, int]
"""TLS or not, host, port."""


class Poster:
    """Posts to any number of servers, over connections that are kept as long as they keep them."""

    def __init__(self) -> None:
        self._idle: dict[Address, list[Connection]] = {}

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int | None:
        """The answer's status; None if there was none."""
        parts = urlsplit(url)
        request = _request(parts, headers, body)
        try:
            async with asyncio.timeout(TIMEOUT):
                return await self._exchange(_address(parts), request)
        except (OSError, TimeoutError, httptools.HttpParserError):
            return None

    async def _exchange(self, address: Address, request: bytes) -> int:
        """A kept connection that the server closed meanwhile is replaced by the next."""
        idle = self._idle.setdefault(address, [])
        while idle:
            connection = idle.pop()
            try:
                return await self._exchange_on(connection, address, request)
            except ConnectionError:
                continue
        return await self._exchange_on(await _connect(address), address, request)

    async def _exchange_on(self, connection: Connection, address: Address, request: bytes) -> int:
        try:
            status = await connection.exchange(request)
        except BaseException:
            connection.close()
            raise
        if connection.reusable():
            self._idle[address].append(connection)
        else:
            connection.close()
        return status


class Connection(asyncio.Protocol):
    """One exchange after the other; what an answer says besides its status is dropped."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[int] | None = None
        self._status: int | None = None
        self._keep = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    async def exchange(self, request: bytes) -> int:
        if self._transport.is_closing():
            raise ConnectionResetError
        self._answer = asyncio.get_running_loop().create_future()
        self._status, self._keep = None, False
        self._transport.write(request)
        return await self._answer

    def reusable(self) -> bool:
        return self._keep and not self._transport.is_closing()

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._finish(error)

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()

    def on_message_complete(self) -> None:
        self._keep = self._parser.should_keep_alive()
        self._finish()

    def connection_lost(self, error: Exception | None) -> None:
        """Which is also how an answer without a length ends."""
        self._finish(error)

    def _finish(self, error: Exception | None = None) -> None:
        if self._answer is None or self._answer.done():
            return
        if self._status is None:
            self._answer.set_exception(error or ConnectionResetError())
        else:
            self._answer.set_result(self._status)


async def _connect(address: Address) -> Connection:
    tls, host, port = address
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(Connection, host, port, ssl=tls or None)
    return connection


def _address(parts: SplitResult) -> Address:
    tls = parts.scheme == "https"
    return tls, parts.hostname or "", parts.port or (443 if tls else 80)


def _request(parts: SplitResult, headers: Mapping[str, str], body: bytes) -> bytes:
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    fields = {"host": parts.netloc.rpartition("@")[2], "content-length": str(len(body))} | headers
    lines = [f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
