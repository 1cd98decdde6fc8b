"""The policies of orgs and of their agents: read, saved against the version that was read, brought back.

Each change of a row is a version: the database counts them (`Policy.revision`) and keeps them with their author,
whoever writes. Nobody who saves against an older version overwrites what came since.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from orgs.history import tracked
from orgs.models import Agent, Org, Policy, User
from orgs.models.tenants import OWN_COLUMNS
from orgs.policy_fields import POLICY_DEFAULTS, POLICY_FIELDS, PolicyDocument, merged_policy

VERSIONS_SHOWN = 100


@dataclass(frozen=True, slots=True)
class SavedPolicy:
    """A policy as it is saved. `own`: what it says itself; `version` 0: nothing was ever saved."""

    org: Org
    agent: Agent | None
    version: int
    own: PolicyDocument

    @property
    def document(self) -> PolicyDocument:
        """An org's with every field, an agent's with what it does not have from its org."""
        return self.own if self.agent else merged_policy(POLICY_DEFAULTS, self.own)


class PolicyConflict(Exception):
    """It was saved by somebody else since; `saved` is as it is now."""

    def __init__(self, saved: SavedPolicy) -> None:
        super().__init__(f"version {saved.version}")
        self.saved = saved


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """One field, such as `budget.pushes`; None: not said, in an agent's policy as the org has it."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class PolicyAuthor:
    """`kind`: human, source (by its key), shell or service."""

    sso_id: str | None
    name: str | None
    kind: str


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """`changes` None: what it was before is no longer kept."""

    version: int
    at: datetime
    by: PolicyAuthor
    own: PolicyDocument
    changes: list[PolicyChange] | None


def own_policy(row: Any) -> PolicyDocument:
    """What a row of Policy, or an entry of its history, says itself."""
    said = {**row.limits, **{name: getattr(row, name) for name in OWN_COLUMNS}}
    return {name: said[name] for name in POLICY_FIELDS if said.get(name) is not None and said[name] != _nothing(name)}


def _nothing(name: str) -> Any:
    return {} if POLICY_FIELDS[name].merges else None


def saved_policy(org: Org, agent: Agent | None) -> SavedPolicy:
    """The policy of the org, or what an agent of it has for itself."""
    return _saved(org, agent, Policy.objects.filter(org=org, agent=agent).first())


def _saved(org: Org, agent: Agent | None, row: Policy | None) -> SavedPolicy:
    return SavedPolicy(org, agent, row.revision if row else 0, own_policy(row) if row else {})


@transaction.atomic
def save_policy(
    org: Org, agent: Agent | None, document: Mapping[str, Any], expected: int | None, *, again: bool = False
) -> SavedPolicy:
    """Save a checked document over the version `expected` (None: whatever is there), as a new version if it differs.

    `again`: as a new version in any case. Raises PolicyConflict.
    """
    Org.objects.select_for_update(no_key=True).get(pk=org.pk)  # of two who save at once one waits, and sees the other's
    row = Policy.objects.filter(org=org, agent=agent).first()
    saved = _saved(org, agent, row)
    if expected is not None and expected != saved.version:
        raise PolicyConflict(saved)
    row = say_policy(row or Policy(org=org, agent=agent, revision=0), document)
    if again or not saved.version or own_policy(row) != saved.own:
        row.revision += 1  # of a row that is there the database says so too
        row.save()
    return _saved(org, agent, row)


def say_policy(row: Policy, document: Mapping[str, Any]) -> Policy:
    """Let a row, saved or not, say what a checked document does; gives the row."""
    columns = {name: document.get(name) for name in OWN_COLUMNS}
    row.limits = {name: value for name, value in document.items() if name not in OWN_COLUMNS and value is not None}
    row.confidence_threshold, row.detect_from_runs = columns["confidence_threshold"], columns["detect_from_runs"]
    row.severities = columns["severities"] or {}
    return row


def revert_policy(org: Org, agent: Agent | None, version: int) -> SavedPolicy | None:
    """Make a new version equal to that one; None: there is no such version, or it is no longer kept."""
    own = policy_at(org, agent, version)
    return None if own is None else save_policy(org, agent, own, None, again=True)


# --- versions --------------------------------------------------------------------------------------------------------


def policy_at(org: Org, agent: Agent | None, version: int) -> PolicyDocument | None:
    """What it said itself in this version; None: there is no such version, or it is no longer kept."""
    if version == 0:
        return {}
    found = _entries(org, agent).filter(revision=version).first() if 0 < version < 2**31 else None
    return own_policy(found) if found else None


def policy_versions(org: Org, agent: Agent | None, limit: int = VERSIONS_SHOWN) -> list[PolicyVersion]:
    """The newest versions, newest first, each with who made it and what it changed."""
    entries = list(_entries(org, agent).select_related("pgh_context")[: limit + 1])
    contexts = [entry.pgh_context.metadata if entry.pgh_context else {} for entry in entries]
    people = User.objects.in_bulk({one["user"] for one in contexts if one.get("user")})
    found = []
    for place, (entry, context) in enumerate(zip(entries, contexts, strict=True)):
        own, older = own_policy(entry), entries[place + 1] if place + 1 < len(entries) else None
        first = older is None and entry.revision == 1
        before = own_policy(older) if older else {} if first else None
        changes = None if before is None else policy_changes(before, own, of_org=agent is None)
        found.append(PolicyVersion(entry.revision, entry.pgh_created_at, _author(context, people), own, changes))
    return found[:limit]


def _entries(org: Org, agent: Agent | None) -> Any:
    table: Any = tracked()[Policy]
    return table.objects.filter(org=org, agent=agent).exclude(pgh_label="delete").order_by("-pgh_id")


def _author(context: Mapping[str, Any], people: Mapping[Any, User]) -> PolicyAuthor:
    if context.get("user"):
        user = people.get(context["user"])
        return PolicyAuthor(user.sso_id if user else None, str(user) if user else None, "human")
    if context.get("source"):
        return PolicyAuthor(None, str(context["source"]), "source")
    if context.get("command"):
        return PolicyAuthor(None, str(context["command"]), "shell")
    return PolicyAuthor(None, None, "service")


def policy_changes(before: Mapping[str, Any], after: Mapping[str, Any], *, of_org: bool) -> list[PolicyChange]:
    """What differs, field by field; of an org with the defaults for what is not said."""
    if of_org:
        before, after = merged_policy(POLICY_DEFAULTS, before), merged_policy(POLICY_DEFAULTS, after)
    old, new = flat_policy(before), flat_policy(after)
    names = [name for name in (*new, *(name for name in old if name not in new)) if old.get(name) != new.get(name)]
    order = list(POLICY_FIELDS)
    names.sort(key=lambda name: order.index(name.partition(".")[0]))
    return [PolicyChange(name, old.get(name), new.get(name)) for name in names]


def flat_policy(document: Mapping[str, Any]) -> dict[str, Any]:
    """Its values by path: `{"throttle_minutes": 5, "budget.pushes": 6, ...}`."""
    found: dict[str, Any] = {}
    for name, value in document.items():
        if isinstance(value, dict):
            found |= {f"{name}.{part}": one for part, one in value.items()}
        else:
            found[name] = value
    return found
