"""A server that answers everything with the bytes of one frame: what is left is a client's cost."""

from __future__ import annotations

import asyncio
import os
import sys

from backend.archive.benchmarks.slices import SIDE


def serve_bytes(port: int) -> None:
    """Serve on 127.0.0.1 until stopped."""
    body = os.urandom(SIDE * SIDE * 2)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", port)
        async with server:
            await server.serve_forever()

    asyncio.run(main())


if __name__ == "__main__":
    serve_bytes(int(sys.argv[1]))
