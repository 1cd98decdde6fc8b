"""JSON Schemas from structs, and the shapes of what is answered."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

import alerts.urls  # noqa: F401  # each view stands beside what it answers
import runs.urls  # noqa: F401
from alerts.models import WebhookDelivery
from orgs.shapes import Shape

JsonSchema = dict[str, Any]
TEXT: JsonSchema = {"type": "string"}
TIME: JsonSchema = {"type": "string", "format": "date-time"}
PAGED = ("Alert", "Push", "Org", "Agent", "Supervisor", "Source", "AgentReach", "Run", "Silence")


def ref(name: str) -> JsonSchema:
    """A schema of the components."""
    return {"$ref": f"#/components/schemas/{name}"}


def array(schema: JsonSchema) -> JsonSchema:
    return {"type": "array", "items": schema}


def enum(values: Iterable[str]) -> JsonSchema:
    return {"type": "string", "enum": list(values)}


def record(description: str, **fields: JsonSchema) -> JsonSchema:
    """An object with exactly these fields, all of them always there."""
    made = {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
    return {**made, "description": description}


def schemas_of(structs: Iterable[type]) -> dict[str, JsonSchema]:
    """The schemas of structs and of what they hold; what is no component by its name stands where it is used."""
    _, found = msgspec.json.schema_components(structs, ref_template="{name}")

    def simple(schema: JsonSchema) -> JsonSchema:
        made = {key: value for key, value in schema.items() if key not in ("title", "default", "$ref", "anyOf")}
        if "description" in made:
            made["description"] = " ".join(made["description"].split())
        if "properties" in made:
            made["properties"] = {name: simple(field) for name, field in made["properties"].items()}
        for key in ("items", "additionalProperties"):
            if isinstance(made.get(key), dict):
                made[key] = simple(made[key])
        if name := schema.get("$ref"):
            made = simple(found[name]) | made if name.endswith("Part") else ref(name.removesuffix("Shape"))
        if "anyOf" in schema:
            made = _or_null(simple(schema["anyOf"][0])) | made
        return made

    return {name.removesuffix("Shape"): simple(one) for name, one in found.items() if not name.endswith("Part")}


def _or_null(schema: JsonSchema) -> JsonSchema:
    if "type" not in schema:
        return {"oneOf": [schema, {"type": "null"}]}
    values = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return schema | values | {"type": [schema["type"], "null"]}


def _declared(kind: type[Shape]) -> Iterator[type[Shape]]:
    for one in kind.__subclasses__():
        yield one
        yield from _declared(one)


def answered_schemas() -> dict[str, JsonSchema]:
    """Every component of what Django answers."""
    found = schemas_of(_declared(Shape))
    page = found.pop("Page")
    return {
        **found,
        **{f"{name}Page": page | {"properties": page["properties"] | {"results": array(ref(name))}} for name in PAGED},
        "Delivery": record(
            "One delivery of a chat product: `stored` to be worked, or what it was at once.",
            delivery_id={"type": "string", "format": "uuid"},
            status=enum(["stored", *WebhookDelivery.Outcome.values]),
        ),
    }
