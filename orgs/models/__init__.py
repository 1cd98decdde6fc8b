"""Who may, and whom to tell."""

from orgs.models.people import THEMES, Assignment, Membership, RoleAgent, SupervisorRole, User, UserManager
from orgs.models.sources import ApiKey, ApiKeyManager, Scope, Source, SourceHeard, WebhookEndpoint
from orgs.models.tenants import (
    LOCALES,
    NAME,
    ROOM_URL_VARIABLES,
    Agent,
    Org,
    PersonalData,
    Policy,
    Severity,
    check_room_url_template,
    check_zone,
    locale_of,
)
from orgs.models.walls import Wall

__all__ = [
    "LOCALES",
    "NAME",
    "ROOM_URL_VARIABLES",
    "THEMES",
    "Agent",
    "ApiKey",
    "ApiKeyManager",
    "Assignment",
    "Membership",
    "Org",
    "PersonalData",
    "Policy",
    "RoleAgent",
    "Scope",
    "Severity",
    "Source",
    "SourceHeard",
    "SupervisorRole",
    "User",
    "UserManager",
    "Wall",
    "WebhookEndpoint",
    "check_room_url_template",
    "check_zone",
    "locale_of",
]
