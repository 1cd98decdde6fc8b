"""The peer of ingestion: what one writes first, a serializer of Django REST framework and bulk_create.

No key and no rules: each event is checked and stored with the first org, source, room and agent there are.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from django.urls import path
from django_scopes import scopes_disabled
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts.models import FailureEvent, Room
from bench.feed_setup import HOST, ROOT
from bench.peer.ports import free_port, until_open
from orgs.models import Agent, Source
from runs.models import AgentRun


class EventSerializer(serializers.ModelSerializer):
    """A failure event, its nested error flat."""

    class Meta:
        model = FailureEvent
        fields = ("event_id", "signal", "occurred_at", "run_id", "channel", "error_type", "error_message", "metadata")


class Events(APIView):
    """POST one event or a list of them."""

    authentication_classes = ()
    permission_classes = ()

    def post(self, request: Request) -> Response:
        """201 once all are stored."""
        many = isinstance(request.data, list)
        checked = EventSerializer(data=request.data if many else [request.data], many=True)
        checked.is_valid(raise_exception=True)
        with scopes_disabled():
            room, agent, source = Room.objects.all()[0], Agent.objects.all()[0], Source.objects.all()[0]
            same = {"org_id": room.org_id, "room": room, "agent": agent, "source": source, "payload_hash": b""}
            FailureEvent.objects.bulk_create(
                FailureEvent(**same, received_at=datetime.now(UTC), **item) for item in checked.validated_data
            )
        return Response([{"status": "created"} for _ in checked.validated_data], status=201)


class RunSerializer(serializers.ModelSerializer):
    """A run, as the metrics spec has it."""

    class Meta:
        model = AgentRun
        fields = (
            *("run_id", "input_kind", "channel", "agent_version", "started_at", "ended_at", "resolution"),
            *("self_corrected", "tokens_input", "tokens_output", "cost_usd", "sla_target_seconds", "metadata"),
        )


class Runs(APIView):
    """POST a list of runs."""

    authentication_classes = ()
    permission_classes = ()

    def post(self, request: Request) -> Response:
        """201 once all are stored."""
        checked = RunSerializer(data=request.data, many=True)
        checked.is_valid(raise_exception=True)
        with scopes_disabled():
            agent, source, now = Agent.objects.all()[0], Source.objects.all()[0], datetime.now(UTC)
            same = {"org_id": agent.org_id, "agent": agent, "source": source, "room": "peer"}
            AgentRun.objects.bulk_create(
                AgentRun(**same, received_at=now, updated_at=now, **item) for item in checked.validated_data
            )
        return Response([{"status": "created"} for _ in checked.validated_data], status=201)


urlpatterns = [path("events", Events.as_view()), path("runs", Runs.as_view())]


def run_requests(batches: list[list[dict[str, Any]]]) -> list[bytes]:
    """Ready bytes of these batches of runs."""
    return [_request(batch, "/runs") for batch in batches]


def requests(numbers: Iterator[int], how_many: int, size: int) -> list[bytes]:
    """Ready bytes of that many requests of `size` events each."""
    return [_request([_event(next(numbers)) for _ in range(size)]) for _ in range(how_many)]


def _request(items: list[dict[str, Any]], path: str = "/events") -> bytes:
    body = json.dumps(items).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _event(number: int) -> dict[str, Any]:
    return {
        "event_id": f"peer-{number}",
        "signal": "agent_error",
        "occurred_at": datetime.now(UTC).isoformat(),
        "run_id": f"00000000-0000-4000-8000-{number:012d}",
        "channel": "whatsapp",
        "error_type": "timeout",
        "error_message": "The model gave no answer within 30 s",
        "metadata": {"attempt": number % 3, "region": "jakarta"},
    }


@contextmanager
def served() -> Iterator[int]:
    """The peer in a process of its own; its port."""
    port = free_port()
    server = ["-m", "uvicorn", "django.core.asgi:get_asgi_application", "--factory", "--lifespan", "off"]
    options = ["--host", HOST, "--port", str(port), "--log-level", "error"]
    env = os.environ | {"DJANGO_SETTINGS_MODULE": "bench.peer.drf_settings"}
    process = subprocess.Popen([sys.executable, *server, *options], cwd=ROOT, env=env)
    try:
        until_open(port)
        yield port
    finally:
        process.terminate()
        process.wait(20)
