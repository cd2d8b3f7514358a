"""The listening socket: what it hands over to asyncio."""

from __future__ import annotations

import asyncio
import socket

from facial_expressions.server.connections import open_listener


def test_an_answer_is_sent_at_once() -> None:
    """Else its body waits 40 ms until the client confirms its head (Nagle's algorithm)."""

    async def is_without_delay() -> bool:
        found: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            endpoint = writer.get_extra_info("socket")
            found.set_result(bool(endpoint.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)))
            writer.close()

        with open_listener("127.0.0.1", 0) as listener:
            async with await asyncio.start_server(accept, sock=listener):
                _, writer = await asyncio.open_connection(*listener.getsockname())
                result = await asyncio.wait_for(found, 10)
                writer.close()
                return result

    assert asyncio.run(is_without_delay())
