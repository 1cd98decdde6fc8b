"""Silences: listed, made and ended."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import pghistory
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from alerts import actions
from alerts.api.reads import as_id
from alerts.models import Silence, counted_silences
from alerts.silencing import silence_state
from orgs import clock
from orgs.api import ScopedAPIView, one_or_404
from orgs.auth import KeyCaller, find_supervisor, of_orgs
from orgs.errors import Refused
from orgs.identifiers import spelled
from orgs.incoming import Field, Query, read_body
from orgs.models import Org, User
from orgs.paging import PARAMETERS, Order, page
from orgs.shapes import Shape, UtcTime, Whole, about, one_of
from orgs.texts import TEXT_LENGTH

SILENCE_FIELDS = {
    "org_id": Field(),
    "agent_name": Field(),
    "signal": Field(),
    "room_id": Field(),
    "channel": Field(),
    "whole_org": Field(flag=True),
    "starts_at": Field(time=True),
    "ends_at": Field(required=True, time=True),
    "recurrence": Field(),
    "until": Field(time=True),
    "until_idle_minutes": Field(number=True),
    "note": Field(longest=TEXT_LENGTH),
    "sso_id": Field(),
}
NEWEST_FIRST = Order((("created_at", datetime), ("id", UUID)), descending=True)
STATES = ("scheduled", "active", "ended")


class SilenceAuthorPart(Shape):
    """Who made it: a person, or the source whose key did (`sso_id` null)."""

    sso_id: str | None
    name: str


class SilenceShape(Shape):
    """A window of time in which people are told nothing of what it names; it always ends."""

    id: UUID
    org_id: str
    agent_name: str | None
    signal: Annotated[str, one_of(actions.SILENCEABLE)] | None
    room_id: str | None
    channel: Annotated[str | None, about("In lower case; whatever begins with wa is whatsapp.")]
    whole_org: bool
    starts_at: UtcTime
    ends_at: Annotated[UtcTime, about("Of one that recurs: the end of its first window.")]
    recurrence: Annotated[str, one_of(Silence.Recurrence.values)] | None
    until: UtcTime | None
    until_idle_minutes: Annotated[Whole | None, about("It ends when nothing matched for so long.")]
    note: str | None
    created_by: SilenceAuthorPart | None
    created_at: UtcTime
    state: Annotated[str, one_of(STATES)]
    ended_at: Annotated[UtcTime | None, about("Null while it may hold something yet.")]
    held_back: Annotated[Whole, about("Alerts of which people were told nothing because of it.")]


class SilencesView(ScopedAPIView):
    """GET /api/silences: of the orgs this caller may see, or of one, the newest first. POST makes one."""

    def get(self, request: Request) -> Response:
        query = Query(request, ("org_id", *PARAMETERS))
        rows, now = self.of_org_asked(query, counted_silences()), clock.now()
        return page(request, query, rows, NEWEST_FIRST, lambda found: [silence_shape(one, now) for one in found])

    def post(self, request: Request) -> Response:
        Query(request, ())
        body = read_body(request, SILENCE_FIELDS)
        org = self._org(request, body.pop("org_id", None))
        by = self._author(request, org, body.pop("sso_id", None))
        asked = actions.AskedSilence(org, **body)
        caller = request.user
        if isinstance(caller, User) and not actions.may_silence(caller, asked, clock.now()):
            raise PermissionDenied("A lead of this org or a specialist may; a supervisor a room, for up to 2 hours.")
        try:
            if isinstance(caller, KeyCaller):
                with pghistory.context(source=caller.source.name):
                    made = actions.make_silence(asked, by, caller.source)
            else:
                made = actions.make_silence(asked, by)
        except actions.ActInvalid as error:
            raise Refused(422, "invalid_field", error.message, error.field) from None
        except actions.TooManySilences:
            message = "This org has as many silences as it may have at a time. End one first."
            raise Refused(422, "too_many_silences", message) from None
        return Response(silence_shape(counted_silences().get(pk=made.pk), clock.now()), status=201)

    def _org(self, request: Request, named: str | None) -> Org:
        """The org that is named, else the key's own. Raises Refused (422), the same for unknown and foreign ones."""
        caller = request.user
        if named is None:
            if isinstance(caller, KeyCaller) and caller.source.org is not None:
                return caller.source.org
            raise Refused(422, "missing_field", "org_id is required.", "org_id")
        org = of_orgs(Org.objects.filter(external_id=named), self.org_ids, "pk").first()
        if org is None:
            raise Refused(422, "unknown_org", "You see no org of this id.", "org_id")
        return org

    def _author(self, request: Request, org: Org, named: str | None) -> User | None:
        """The signed-in person, or whom a key names; None: the key names nobody. Raises Refused (422)."""
        caller = request.user
        if isinstance(caller, User):
            if named is not None and spelled(named) != caller.sso_id:
                raise Refused(422, "invalid_field", "Signed in, you act as yourself: leave sso_id out.", "sso_id")
            return caller
        person = None if named is None else find_supervisor(named, org.pk, specialists=self.org_ids.every)
        if named is not None and person is None:
            raise Refused(422, "unknown_person", "No supervisor of this org has this sso_id.", "sso_id")
        return person


class SilenceView(ScopedAPIView):
    """GET /api/silences/{id}. DELETE ends it now; it stays in the list, and again changes nothing."""

    def get(self, request: Request, silence_id: str) -> Response:
        Query(request, ())
        return Response(silence_shape(one_or_404(counted_silences().filter(pk=as_id(silence_id))), clock.now()))

    def delete(self, request: Request, silence_id: str) -> Response:
        Query(request, ())
        silence = one_or_404(Silence.objects.filter(pk=as_id(silence_id)))
        caller: Any = request.user
        by = caller if isinstance(caller, User) else None
        if by is not None and not actions.may_end_silence(by, silence):
            raise PermissionDenied("A lead of this org, a specialist or who made it ends a silence.")
        try:
            with pghistory.context(**({} if by else {"source": caller.source.name})):
                actions.end_silence(silence.pk, by)
        except Silence.DoesNotExist:
            raise NotFound from None
        return Response(status=204)


def silence_shape(one: Silence, now: datetime) -> SilenceShape:
    """What the API says of it."""
    return SilenceShape(
        id=one.pk,
        org_id=one.org.external_id,
        agent_name=one.agent.name if one.agent else None,
        signal=one.signal or None,
        room_id=one.room_id or None,
        channel=one.channel or None,
        whole_org=one.whole_org,
        starts_at=one.starts_at,
        ends_at=one.ends_at,
        recurrence=one.recurrence or None,
        until=one.until,
        until_idle_minutes=one.until_idle_minutes,
        note=one.note or None,
        created_by=_author_part(one),
        created_at=one.created_at,
        state="ended" if one.ended_at else silence_state(one.facts, now),
        ended_at=one.ended_at,
        held_back=one.held_back,  # type: ignore[attr-defined]
    )


def _author_part(one: Silence) -> SilenceAuthorPart | None:
    if one.created_by is not None:
        return SilenceAuthorPart(one.created_by.sso_id, str(one.created_by))
    return SilenceAuthorPart(None, one.made_by.name) if one.made_by is not None else None
