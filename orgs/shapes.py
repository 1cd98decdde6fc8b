"""What an answer of the API holds, declared once: the structs that are sent, and that the OpenAPI document is made of.

A struct whose name ends with `Shape` is a component of the document, without that ending; one that ends with `Part` is
written out where it is used. Its docstring is the description. Every field is always there, in the order declared; what
is not known is null. Only a field that is UNSET is left out.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType


class Shape(Struct, forbid_unknown_fields=True):
    """An object of an answer: exactly these fields."""


S = TypeVar("S", bound=Shape)
UtcTime = Annotated[datetime, Meta(tz=True)]
Whole = Annotated[int, Meta(ge=0)]
Amount = Annotated[float, Meta(ge=0)]
Uri = Annotated[str, Meta(extra_json_schema={"format": "uri"})]


def one_of(values: Iterable[str]) -> Meta:
    """A text is one of these."""
    return Meta(extra_json_schema={"enum": list(values)})


def about(text: str) -> Meta:
    """What a field means, where its name does not say it."""
    return Meta(description=text)


class ErrorPart(Shape):
    """The one error shape. `field` names what was wrong, such as `items[3].occurred_at`."""

    code: str
    message: str
    field: str | UnsetType = UNSET


class ErrorShape(Shape):
    """What went wrong."""

    error: ErrorPart


class PageShape(Shape):
    """One page."""

    next: Uri | None
    previous: Uri | None
    results: list[Any]


def shape_of(kind: type[S], row: object, **known: Any) -> S:
    """The struct with what is known; its other fields are the row's attributes of the same names."""
    return kind(**{name: getattr(row, name) for name in kind.__struct_fields__ if name not in known}, **known)
