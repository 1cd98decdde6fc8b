"""Orgs by name; where a reader sees several of one name, each with its external id too."""

from collections import Counter
from collections.abc import Iterable

from orgs.models import Org


def twin_orgs(orgs: Iterable[Org]) -> dict[str, str]:
    """Of these orgs, by external id, what those are called whose name another of them has too."""
    seen = list(orgs)
    found = Counter(_alike(org.name) for org in seen)
    return {org.external_id: f"{org.name} ({org.external_id})" for org in seen if found[_alike(org.name)] > 1}


def _alike(name: str) -> str:
    return " ".join(name.casefold().split())


def org_choices(orgs: Iterable[Org]) -> list[tuple[str, str]]:
    """External id and what is said of it, for the list of a form."""
    seen = list(orgs)
    twins = twin_orgs(seen)
    return [(org.external_id, twins.get(org.external_id, org.name)) for org in seen]
