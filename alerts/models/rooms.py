"""Conversations, and what is reported of them: failure events and room activity."""

from operator import itemgetter

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django_scopes import ScopedManager

from alerts.decide import RoomFacts
from alerts.holding import HoldFacts
from orgs.models import NAME, Org, Source

_FACTS = itemgetter(*RoomFacts.__struct_fields__[:-1])  # columns of the same names; what they come to is the last


class Room(models.Model):
    """One customer conversation: the lock row of everything decided about it, and its memory."""

    class State(models.TextChoices):
        BOT = "bot", _("Bot")
        HANDED_OFF = "handed_off", _("Handed off")
        HUMAN = "human", _("Human")
        RESOLVED = "resolved", _("Resolved")

    org = models.ForeignKey(Org, models.CASCADE, related_name="+", db_index=False)  # as in alerts/models/alerts.py
    room_id = models.CharField(max_length=NAME)
    label = models.CharField(max_length=NAME, blank=True)
    channel = models.CharField(max_length=NAME, blank=True)
    url = models.CharField(max_length=2000, blank=True)  # as the event named it; checked again before a redirect
    last_customer_text = models.CharField(max_length=2000, blank=True)  # masked before it got here
    state = models.CharField(max_length=16, choices=State, default=State.BOT)
    customer_waiting_since = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)  # the last message that answered the customer
    handed_off_at = models.DateTimeField(null=True)  # runs until the first human message or takeover
    human = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", db_index=False)
    human_since = models.DateTimeField(null=True)  # a human holds the room (message, assignment, takeover)
    human_last_at = models.DateTimeField(null=True)  # the last human act; presence ends 15 min later
    settled_at = models.DateTimeField(null=True)  # last resolution or explicit return: what happened before is over
    returned_at = models.DateTimeField(null=True)  # the bot wrote after a human had been silent for long enough
    left_at = models.DateTimeField(null=True)  # whoever was assigned until then did not come: it holds nothing

    # What alerts/actions/conversation.py remembers of who said what last.
    heard_at = models.DateTimeField(null=True)  # the newest moment of all
    customer_last_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)  # the newest failure
    stranded_at = models.DateTimeField(null=True)  # the newest failure that left the customer waiting
    recovered_at = models.DateTimeField(null=True)  # the bot answered a customer whom it had left waiting
    ran_from = models.DateTimeField(null=True)  # the newest run that ended well while somebody waited: from when
    ran_at = models.DateTimeField(null=True)  # until when

    bot_last_at = models.DateTimeField(null=True)  # the bot's newest message
    # The customer's messages since the last answer: the oldest, how many, and since when they are more than a thanks.
    unanswered_since = models.DateTimeField(null=True)
    unanswered = models.PositiveSmallIntegerField(default=0, db_default=0)
    insists_at = models.DateTimeField(null=True)

    # The human who holds it: when they were last found to have stalled, when they will have (alerts/holding.py), and
    # when the bot last talked over them.
    stalled_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True)
    talked_over_at = models.DateTimeField(null=True)

    objects = ScopedManager(org="org")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["org", "room_id"], name="room_org_room")]
        indexes = [
            # humans who stall: WHERE due_at <= now
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="room_due"),
        ]

    def __str__(self) -> str:
        return self.label or self.room_id

    @property
    def recovered(self) -> bool:
        """Whether the bot answered the customer whom its newest failure left waiting."""
        return self.recovered_at is not None and (self.failed_at is None or self.recovered_at > self.failed_at)

    @property
    def facts(self) -> RoomFacts:
        """What the pure rules need to know of it."""
        return RoomFacts(*_FACTS(self.__dict__), self.recovered)  # type: ignore[call-arg] # it is not among these

    @property
    def hold_facts(self) -> HoldFacts:
        """What the rules of who holds it need to know of it."""
        return HoldFacts(
            human_since=self.human_since,
            human_last_at=self.human_last_at,
            handed_off_at=self.handed_off_at,
            unanswered_since=self.unanswered_since,
            insists_at=self.insists_at,
            agent_at=max(filter(None, (self.bot_last_at, self.failed_at)), default=None),
            stalled_at=self.stalled_at,
        )


class RoomActivity(models.Model):
    """What happened in a room besides failures: people coming, customers writing, the bot getting it back."""

    class Kind(models.TextChoices):
        HUMAN_OPENED = "human_opened"
        HUMAN_MESSAGE = "human_message"
        ASSIGNED = "assigned"
        RESOLVED = "resolved"
        RETURNED_TO_AGENT = "returned_to_agent"
        CUSTOMER_MESSAGE = "customer_message"
        BOT_MESSAGE = "bot_message"

    org = models.ForeignKey(Org, models.CASCADE, related_name="+", db_index=False)
    source = models.ForeignKey(  # null: the console's drill-in
        Source, models.CASCADE, null=True, related_name="+", db_index=False
    )
    activity_id = models.CharField(max_length=128)
    payload_hash = models.BinaryField(max_length=32)
    room = models.ForeignKey(Room, models.CASCADE, related_name="activities", db_index=False)
    kind = models.CharField(max_length=32, choices=Kind)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", db_index=False)
    actor_external_id = models.CharField(max_length=NAME, blank=True)
    at = models.DateTimeField()  # at most its receipt
    as_sent = models.DateTimeField(null=True)  # the sender's word where it lies after receipt: decides nothing
    received_at = models.DateTimeField()
    clock_flagged = models.BooleanField(default=False)
    undelivered = models.BooleanField(default=False)  # a message that never reached the customer: it did nothing
    asks = models.BooleanField(default=False, db_default=False)  # a customer's message with a question in it

    objects = ScopedManager(org="org")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["org", "source", "activity_id"],
                name="roomactivity_org_source_activity",
                nulls_distinct=False,
            )
        ]
        indexes = [
            models.Index(fields=["room", "at"], name="roomactivity_room"),  # the alert page's timeline
            models.Index(fields=["org", "received_at"], name="roomactivity_age"),  # purge: the oldest of an org
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.activity_id}"
