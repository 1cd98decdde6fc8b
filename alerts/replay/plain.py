"""Alerts and rooms of a replay: what their models say of them, without what Django does whenever a field is read."""

from types import FunctionType
from typing import Any, cast

from django.db.models import Model

from alerts.models import Alert, Room

KEPT = ("org", "room", "agent")  # foreign keys whose rows are always there


class _Kept:
    """A foreign key whose row stands beside it. It has no `__get__`: Python reads what the instance holds."""

    def __init__(self, name: str, key: str, model: type[Model]) -> None:
        self._name, self._key, self._model = name, key, model

    def __set__(self, row: Any, value: Model | None) -> None:
        row.__dict__[self._name], row.__dict__[self._key] = value, None if value is None else value.pk


class _Asked(_Kept):
    """A foreign key whose row is read when somebody asks for it."""

    def __get__(self, row: Any, _: type) -> Model | None:
        held = row.__dict__
        pk, known = held[self._key], held.get(self._name)
        if pk is not None and (known is None or known.pk != pk):
            known = held[self._name] = self._model._base_manager.get(pk=pk)
        return known if pk is not None else None


def _plain(model: type[Model]) -> tuple[type, dict[str, Any]]:
    """A class with the properties and methods of this model, and what a new row of it holds."""
    own: dict[str, Any] = {
        name: one for name, one in vars(model).items() if isinstance(one, property | FunctionType) and name[0] != "_"
    }
    for field in model._meta.concrete_fields:
        if (leads_to := field.related_model) is not None:
            kind = _Kept if field.name in KEPT else _Asked
            own[field.name] = kind(field.name, field.attname, leads_to)
    held = {name: value for name, value in model().__dict__.items() if name != "_state"}
    return type(f"Plain{model.__name__}", (), own | {"_meta": model._meta}), held | dict.fromkeys(own.keys() & KEPT)


_alert, _of_alert = _plain(Alert)
_room, _of_room = _plain(Room)
_lists = [name for name, value in _of_alert.items() if type(value) is list]


def plain_alert(**fields: Any) -> Alert:
    """A new alert, as `Alert(**fields)`."""
    row = _alert()
    row.__dict__ = _of_alert | {name: [] for name in _lists}
    for name, value in fields.items():
        setattr(row, name, value)
    row.pk = row.id
    return cast(Alert, row)


def plain_room(pk: int, org: int, room_id: str, channel: str) -> Room:
    """A room as if nobody had heard of it; the channel of a room is as good as always the same."""
    row = _room()
    row.__dict__ = _of_room | {"id": pk, "pk": pk, "org_id": org, "room_id": room_id, "channel": channel}
    return cast(Room, row)
