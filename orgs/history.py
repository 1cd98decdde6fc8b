"""Who changed what and when, deletions too, from the event tables that triggers of the database write."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from django.apps import apps
from django.db.models import ForeignKey, Model, Q
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from orgs.duty.hours import hours_text
from orgs.models import ApiKey, Org, RoleAgent, Severity, Source, SupervisorRole, User
from orgs.signals import SIGNALS, signal_name

NOTHING = "–"  # how no value is written
OWN = ("pgh_id", "pgh_created_at", "pgh_label", "pgh_obj", "pgh_context", "id", "created_at", "created", "revision")


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one row. `fields`: (field, before, after), as text for people."""

    at: datetime
    who: str
    verb: str  # insert | update | delete
    kind: str
    name: str
    fields: list[tuple[str, str, str]]
    org: str = ""  # whose row it is, with its external id

    @property
    def said(self) -> list[SafeString]:
        """What happened, as sentences: one, or one for each field that changed."""
        if self.verb != "update":
            sentence = _("{who} added {kind} {name}.") if self.verb == "insert" else _("{who} deleted {kind} {name}.")
            return [self._sentence(sentence)]
        return [
            self._sentence(_how(before, after), field=field, before=before, after=after)
            for field, before, after in self.fields
        ]

    def _sentence(self, text: str, **parts: str) -> SafeString:
        quoted = {part: format_html("<b><bdi>{}</bdi></b>", value) for part, value in parts.items() if part != "field"}
        plain = {"who": format_html("<bdi>{}</bdi>", self.who), "field": parts.get("field", "")}
        return format_html(text, kind=self.kind, name=format_html("“<bdi>{}</bdi>”", self.name), **plain, **quoted)


def _how(before: str, after: str) -> str:
    """The sentence for a field that had a value and has another, or lost it, or got one."""
    if NOTHING not in (before, after):
        return _("{who} changed {field} of {kind} {name} from {before} to {after}.")
    if after == NOTHING:
        return _("{who} emptied {field} of {kind} {name}; before: {before}.")
    return _("{who} set {field} of {kind} {name} to {after}.")


def tracked() -> dict[type[Model], type[Model]]:
    """Each model whose changes are kept, and its event table."""
    found = {}
    for events in apps.get_models():
        model = getattr(events, "pgh_tracked_model", None)
        if model is not None:
            found[model] = events
    return found


@cache
def newest_changes(*models: type[Model]) -> str:
    """A statement whose one row differs from an earlier one if any row of these models has changed in between."""
    tables = tracked()
    newest = [f"(SELECT max(pgh_id) FROM {tables[one]._meta.db_table})" for one in models]  # noqa: S608
    return f"SELECT {', '.join(newest)}"


def of(instance: Model, limit: int) -> list[Change]:
    """The changes of one row and of everything that belongs to it, newest first.

    To an org belong all its rows, to a source its keys, to a person or role its assignments.
    """
    kinds = tracked()
    belongs = {Org: "org_id", Source: "source_id", User: "user_id", SupervisorRole: "role_id"}.get(type(instance), "")
    events = []
    for model, table in kinds.items():
        if model is type(instance):
            events += _load(table, Q(pgh_obj_id=instance.pk), limit)
        elif any(field.attname == belongs for field in model._meta.concrete_fields):
            events += _load(table, Q(**{belongs: instance.pk}), limit)
    if isinstance(instance, Org):
        events += _load(kinds[ApiKey], Q(source_id__in=_of_org(kinds[Source], instance)), limit)
        events += _load(kinds[RoleAgent], Q(supervisorrole_id__in=_of_org(kinds[SupervisorRole], instance)), limit)
    if isinstance(instance, SupervisorRole):
        events += _load(kinds[RoleAgent], Q(supervisorrole_id=instance.pk), limit)
    return _changes(events, limit)


def everything(limit: int) -> list[Change]:
    """The latest changes of all orgs, also of those that are deleted; newest first."""
    return _changes([event for table in tracked().values() for event in _load(table, Q(), limit)], limit)


def _of_org(table: Any, org: Org) -> Any:
    """Ids of the rows an org has or had."""
    return table.objects.filter(org_id=org.pk).values("pgh_obj_id")


def _load(table: Any, which: Q, limit: int) -> list[Any]:
    found = table.objects.filter(which).select_related("pgh_context")
    return list(found.order_by("-pgh_created_at", "-pgh_id")[:limit])


def _changes(events: list[Any], limit: int) -> list[Change]:
    events.sort(key=lambda event: (event.pgh_created_at, event.pgh_id), reverse=True)
    events = events[:limit]
    before = _before(events)
    names = _Names(events + list(before.values()))
    changes = [_change(event, before.get((type(event), event.pgh_id)), names) for event in events]
    return [change for change in changes if change.verb != "update" or change.fields]


def _before(events: list[Any]) -> dict[tuple[type, int], Any]:
    """For each event the one before it of the same row, by (table, id)."""
    rows: dict[type, set[Any]] = defaultdict(set)
    for event in events:
        if hasattr(event, "pgh_obj_id"):  # a role's list of agents is only added to and taken from
            rows[type(event)].add(event.pgh_obj_id)
    found = {}
    for table, ids in rows.items():
        last: dict[Any, Any] = {}
        for event in table.objects.filter(pgh_obj_id__in=ids).order_by("pgh_id"):  # type: ignore[attr-defined]
            if event.pgh_obj_id in last:
                found[table, event.pgh_id] = last[event.pgh_obj_id]
            last[event.pgh_obj_id] = event
    return found


def _change(event: Any, before: Any, names: "_Names") -> Change:
    model = event.pgh_tracked_model
    fields = []
    for field in event._meta.concrete_fields:
        if field.name in OWN or event.pgh_label == "delete":
            continue
        old = getattr(before, field.attname) if before else None
        new = getattr(event, field.attname)
        if field.name == "limits":
            fields += _limits(old or {}, new)
        elif isinstance(new, dict):
            fields += _severities(old, new)
        elif old != new and (before or new not in ("", None, [], False) or (field.null and new is False)):
            title = str(model._meta.get_field(field.name).verbose_name)
            fields.append((title, names.value(field, old) if before else "", names.value(field, new)))
    return Change(
        at=event.pgh_created_at,
        who=names.who(event.pgh_context.metadata if event.pgh_context else {}),
        verb=event.pgh_label,
        kind=_("agent of role") if model is RoleAgent else str(model._meta.verbose_name),
        name=names.row(event),
        fields=fields,
        org=names.org(event),
    )


def _severities(old: dict[str, str] | None, new: dict[str, str]) -> list[tuple[str, str, str]]:
    """What changed of a policy's severities, a line for each signal; `old` None: it is new."""
    words = {severity: str(label) for severity, label in Severity.choices}
    changed = [name for name in SIGNALS if (old or {}).get(name) != new.get(name)]
    before = {name: "" if old is None else words.get(old.get(name, ""), NOTHING) for name in changed}
    return [(signal_name(name), before[name], words.get(new.get(name, ""), NOTHING)) for name in changed]


def _limits(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What changed of a policy's limits, a line for each part that it names."""
    changed = [name for name in sorted(old | new) if old.get(name) != new.get(name)]
    return [(name, _limit(old.get(name)), _limit(new.get(name))) for name in changed]


def _limit(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {number}" for key, number in value.items()) or NOTHING
    return NOTHING if value is None else str(value)


class _Names:
    """Names of the rows that events point at, of deleted ones from their last event."""

    def __init__(self, events: Iterable[Any]) -> None:
        wanted: dict[type[Model], set[Any]] = defaultdict(set)
        for event in events:
            for field in event._meta.concrete_fields:
                if isinstance(field, ForeignKey) and not field.name.startswith("pgh_"):
                    wanted[field.related_model].add(getattr(event, field.attname))
            if event.pgh_context:
                wanted[User].add(event.pgh_context.metadata.get("user"))
        self.sources = dict(Source.objects.filter(pk__in=wanted[Source]).values_list("pk", "org_id"))
        wanted[Org] |= set(self.sources.values())
        self.names = {model: self._of(model, ids - {None}) for model, ids in wanted.items()}
        known = Org.objects.filter(pk__in=wanted[Org] - {None}).values_list("pk", "name", "external_id")
        self.orgs = self.names[Org] | {pk: f"{name} ({external_id})" for pk, name, external_id in known}

    @staticmethod
    def _of(model: Any, ids: set[Any]) -> dict[Any, str]:
        found = {}
        table: Any = tracked().get(model)
        if table is not None:
            for event in table.objects.filter(pgh_obj_id__in=ids).order_by("pgh_id"):
                found[event.pgh_obj_id] = str(getattr(event, "name", "")) or str(event.pgh_obj_id)
        return found | {row.pk: str(row) for row in model.objects.filter(pk__in=ids)}

    def org(self, event: Any) -> str:
        """The org of the row; empty for a person, what is of the platform, and an org itself."""
        org_id = getattr(event, "org_id", None) or self.sources.get(getattr(event, "source_id", None) or 0)
        return self.orgs.get(org_id, "")

    def value(self, field: Any, value: Any) -> str:
        """A value as people read it."""
        if value is None or value == "" or value == []:
            return NOTHING
        if isinstance(field, ForeignKey):
            return self.names.get(field.related_model, {}).get(value, str(value))
        if isinstance(value, bool):
            return _("yes") if value else _("no")
        if isinstance(value, list):
            return hours_text(value) if isinstance(value[0], dict) else ", ".join(value)
        return str(dict(field.flatchoices).get(value, value))

    def who(self, metadata: dict[str, Any]) -> str:
        """The person, the source whose key it was, the command of the shell, or the service itself."""
        if metadata.get("user"):
            return self.names[User].get(metadata["user"], str(metadata["user"]))
        if metadata.get("source"):
            return _("Source %(name)s") % {"name": metadata["source"]}
        if metadata.get("command"):
            return _("The shell (%(command)s)") % {"command": metadata["command"]}
        return _("The service")

    def row(self, event: Any) -> str:
        if hasattr(event, "prefix"):
            return f"{event.name} ({event.prefix})"
        if hasattr(event, "name"):
            return str(event.name) or str(event.pgh_obj_id)
        fields = {field.name: field for field in event._meta.concrete_fields}
        about = [fields[name] for name in ("user", "supervisorrole", "role", "agent") if name in fields]
        about = about or [fields["org"]]
        parts = [self.value(field, getattr(event, field.attname)) for field in about]
        return " → ".join(part for part in parts if part != NOTHING) or _("all agents")
