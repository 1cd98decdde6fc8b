"""The whole document: information, operations, components."""

from datetime import UTC, datetime
from typing import Any

from django.conf import settings

from console.openapi.items import examples, item_schemas
from console.openapi.operations import operations
from console.openapi.parts import responses
from console.openapi.structs import answered_schemas

ABOUT = """Real-time human supervision of AI agents that talk to customers.

JSON in UTF-8 only. Machines send `Authorization: Bearer <key>`; a key has the scopes `ingest`, `read`, `act`. Every
answer carries `X-Request-Id`. Times are RFC 3339 with an offset, answers in UTC. An org is always its own id.

```
curl -X POST $BASE_URL/api/failure-events -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
  -d '{"event_id": "evt-1001", "org_id": "toko-maju", "agent_name": "Billing Bot", "room_id": "room-42",
       "signal": "agent_error", "occurred_at": "NOW", "error": {"type": "ToolTimeout"}}'
```
"""


def document() -> dict[str, Any]:
    """OpenAPI 3.1, its examples with the time of now so that they can be sent as they are."""
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    paths: dict[str, dict[str, Any]] = {}
    for path, method, operation in operations(examples(now)):
        paths.setdefault(path, {})[method] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": settings.SPECTACULAR_SETTINGS["TITLE"],
            "version": settings.SPECTACULAR_SETTINGS["VERSION"],
            "description": ABOUT.replace("NOW", now),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": answered_schemas() | item_schemas(),
            "responses": responses(),
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "An API key: `prefix.secret`."},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": settings.SESSION_COOKIE_NAME,
                    "description": "The console's session; a change needs its CSRF token in X-CSRFToken.",
                },
            },
        },
    }
