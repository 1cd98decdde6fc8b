"""Django within ASGI: each request is answered in one thread, from its first middleware to its last.

Django's own handler makes a thread for each request, and goes there and back for each signal and each change between
its loop and our middleware, all of which is synchronous. Ours goes there once; the threads stay, as many as there are
slots, and each gives its database connection back with its answer.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import IO, Any

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.db import close_old_connections
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix

from console.ingest.bodies import AsgiScope, Receive, Send


class Mount(ASGIHandler):
    """Django as an ASGI application with so many threads. What streams is sent by the loop, as Django's own does it."""

    def __init__(self, threads: int) -> None:
        BaseHandler.__init__(self)
        self.load_middleware()
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="django")

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:  # type: ignore[override]
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        loop = asyncio.get_running_loop()
        # A context for each request: what it binds for its logs or its language ends with it.
        response = await loop.run_in_executor(self._threads, copy_context().run, self._answer, scope, body)
        if response.streaming:
            await self._stream(response, receive, send)
        else:
            await self.send_response(response, send)  # type: ignore[arg-type]

    def _answer(self, scope: AsgiScope, body: IO[bytes]) -> HttpResponseBase:
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=self.__class__, scope=scope)
        request, refused = self.create_request(scope, body)
        response: Any = refused if request is None else self.get_response(request)
        response._handler_class = self.__class__  # who sends request_finished, on closing
        if response.streaming:
            close_old_connections()  # what streams asks the database by itself: console/pages/board/export.py
        else:
            response.close()
        return response

    async def _stream(self, response: HttpResponseBase, receive: Receive, send: Send) -> None:
        """Send it part by part until it ends or the client leaves."""
        async with ThreadSensitiveContext():
            tasks = [
                asyncio.create_task(self.send_response(response, send)),  # type: ignore[arg-type]
                asyncio.create_task(self.listen_for_disconnect(receive)),
            ]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                ends = await asyncio.gather(*tasks, return_exceptions=True)
                await sync_to_async(response.close)()
            if isinstance(ends[0], Exception):
                raise ends[0]
