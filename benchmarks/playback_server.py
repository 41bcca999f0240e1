"""An OpenAI-compatible endpoint that plays back canned answers after a delay; a process of its own for benchmarks.

A bare asyncio protocol, because a web framework would cost more than the client that is measured. Prints its port, then
how many answers it gave when standard input closes.
"""

import asyncio
import json
import sys

DELAY_SECONDS = 0.020
SCORE = json.dumps({"edu": 3, "self": 2, "level": 4, "why": "A worked example with its result, and a reason for it."})
COMPLETION = {
    "id": "chatcmpl-playback",
    "object": "chat.completion",
    "created": 1,
    "model": "playback",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": SCORE}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 400, "completion_tokens": 40, "total_tokens": 440},
}
BODY = json.dumps(COMPLETION).encode()
HEAD = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()


class Playback(asyncio.Protocol):
    """One connection; requests on it come one after the other."""

    answered = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        """Answer when a whole request is there."""
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) >= length:
            self.buffer = body[length:]
            asyncio.get_running_loop().call_later(DELAY_SECONDS, self.answer)

    def answer(self) -> None:
        """Send the canned completion."""
        if not self.transport.is_closing():
            Playback.answered += 1
            self.transport.write(HEAD + BODY)


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Playback, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    print(Playback.answered, flush=True)


if __name__ == "__main__":
    asyncio.run(main())
