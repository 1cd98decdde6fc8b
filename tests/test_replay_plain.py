"""The plain alerts and rooms of a replay say what their models would."""

from datetime import UTC, datetime, timedelta

import pytest
from django_scopes import scopes_disabled

from alerts.models import Alert, Room
from alerts.replay.plain import plain_alert, plain_room
from tests.factories import AgentFactory, OrgFactory, UserFactory

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
KINDS = Alert, plain_alert


@pytest.fixture
def both():
    """The same alert of the same room, as a model and plain."""
    org = OrgFactory()
    rooms = Room(id=7, org=org, room_id="room-1", channel="wa"), plain_room(7, org.pk, "room-1", "wa")
    agent, pk = AgentFactory(org=org), Alert().id
    made = [make(id=pk, org=org, room=room, agent=agent, version=0) for make, room in zip(KINDS, rooms, strict=True)]
    for one in made:
        one.opened_at = one.first_failure_at = one.last_event_at = one.ladder_from = NOW
    return made


def columns(row):
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def test_every_column_of_a_new_one_is_as_the_model_has_it(both):
    model, plain = both
    assert columns(plain) == columns(model)
    assert columns(plain.room) == columns(model.room)
    assert plain.pk == model.pk


def test_their_properties_are_those_of_the_model(both):
    for one in both:
        one.snoozed_until, one.window_ends_at = NOW + timedelta(hours=1), NOW + timedelta(hours=2)
        one.signals = [{"signal": "agent_error", "episode": 1}, {"signal": "message_cap", "episode": 2}]
        one.room.failed_at, one.room.recovered_at = NOW, NOW + timedelta(minutes=1)
    model, plain = both
    for name in ("facts", "is_outage", "signals_now", "quiet_until"):
        assert getattr(plain, name) == getattr(model, name)
    assert plain.is_snoozed(NOW) and model.is_snoozed(NOW)
    assert plain.room.facts == model.room.facts and plain.room.facts.recovered
    assert plain.room.hold_facts == model.room.hold_facts
    for one in both:
        one.window_over_at = NOW
    assert plain.facts == model.facts and plain.facts.window_ends_at is None


def test_a_key_and_what_it_leads_to_go_together(both):
    rina, bayu = UserFactory(), UserFactory()
    with scopes_disabled():
        for one in both:
            one.assigned_to = rina
            assert one.assigned_to_id == rina.pk
            one.assigned_to_id = bayu.pk
            assert one.assigned_to == bayu
            one.assigned_to = None
            assert (one.assigned_to, one.assigned_to_id) == (None, None)
            assert one.room_id == one.room.id and one.agent_id == one.agent.pk


def test_two_do_not_share_what_changes_in_place(both):
    _, plain = both
    other = plain_alert(id=Alert().id, org=plain.org, room=plain.room, agent=None, version=0)
    plain.signals.append("one")
    plain.undoable.append("two")
    assert (other.signals, other.undoable, other.agent_id) == ([], [], None)
