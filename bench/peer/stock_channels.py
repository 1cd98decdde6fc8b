"""The peer of the live feed: a Channels consumer as its tutorial has it, in a group of a Redis channel layer."""

import asyncio
import json
import socket
import time
from typing import Any

import django
import uvicorn

django.setup()

from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402 - needs the settings
from channels.layers import get_channel_layer  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import path  # noqa: E402

from bench.feed_clients import TOKEN  # noqa: E402


class StockConsumer(AsyncWebsocketConsumer):
    """Sends on what its group is sent."""

    async def connect(self) -> None:
        """Join the group that the path names."""
        self.group = self.scope["url_route"]["kwargs"]["group"]
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        """Leave the group."""
        await self.channel_layer.group_discard(self.group, self.channel_name)

    async def frame(self, event: dict[str, Any]) -> None:
        """One message of the group."""
        await self.send(text_data=event["text"])


class Stock:
    """Serves the consumer, and broadcasts frames through the layer at the moments they are due."""

    async def listen(self, command: dict[str, Any]) -> dict[str, Any]:
        """{host}: the port it serves at."""
        application = ProtocolTypeRouter({"websocket": URLRouter([path("<str:group>", StockConsumer.as_asgi())])})
        listening = socket.create_server((command["host"], 0))
        config = uvicorn.Config(
            application, log_level="error", ws="websockets", lifespan="off", ws_per_message_deflate=False
        )
        self.serving = asyncio.create_task(uvicorn.Server(config).serve([listening]))
        return {"port": listening.getsockname()[1]}

    async def replay(self, command: dict[str, Any]) -> dict[str, Any]:
        """{frames: [{group, at, text}]} as the listeners reported them: when each row was sent."""
        layer, frames, sent = get_channel_layer(), command["frames"], dict[str, float]()
        offset = time.monotonic() - frames[0]["at"]
        for frame in frames:
            await asyncio.sleep(max(0.0, frame["at"] + offset - time.monotonic()))
            for token in TOKEN.findall(json.loads(frame["text"])["rows"][0]["html"]):
                sent.setdefault(token, time.monotonic())
            await layer.group_send(frame["group"], {"type": "frame", "text": frame["text"]})
        return {"sent": sent}
