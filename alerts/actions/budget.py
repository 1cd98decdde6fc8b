"""How many pushes about alerts each person of an org got lately, under a lock of theirs, so that no two transactions
spend the same.

Lock order: after the rooms, before pushes; people sorted by (org, person).
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from alerts.actions.stored import stored
from alerts.actions.stored_tellings import Person, Spent
from alerts.limits import NO_BUDGET, PushBudget
from alerts.models import Push
from alerts.rows import PushRow

PENDING = Push.State.PENDING


def lock_people(people: Iterable[Person]) -> None:
    """Nobody else plans for these people until the transaction ends. Locking one again changes nothing."""
    if wanted := sorted(set(people)):
        stored().lock_people(wanted)


class Spending:
    """The pushes that count in the budgets of the people of one transaction."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self._budgets: dict[Person, PushBudget] = {}
        self._pushes: dict[Person, list[Spent]] = {}
        self._unread: list[Person] = []  # those with a budget, until the first is asked about
        self._since = now

    def know(self, people: Iterable[Person], budgets: Mapping[int, PushBudget]) -> None:
        """Lock these people. `budgets`: by org pk; what those with one spent is read when it is asked.

        All are locked at once, in order, where any has a budget: those without one may have to be locked later, for
        their digest, and whoever holds some of them must not wait for one that goes before. Nobody is, where none has.
        """
        new = {one: budgets.get(one[0], NO_BUDGET) for one in people if one not in self._budgets}
        if not new:
            return
        self._budgets |= new
        limited = [one for one, budget in new.items() if budget.pushes]
        if not limited:
            return
        lock_people(new)
        since = self.now - max(new[one].window for one in limited)
        self._since = min(since, self._since) if self._unread else since
        self._unread += limited

    def _read(self) -> None:
        """What those spent who are locked by now."""
        for person, pushes in stored().spent(sorted(self._unread), self._since).items():
            self._pushes[person] = [*self._pushes.get(person, ()), *pushes]
        self._unread = []

    def budget(self, person: Person) -> PushBudget:
        return self._budgets.get(person, NO_BUDGET)

    def spent(self, person: Person, alert: UUID) -> int:
        """How many count against a new push about this alert: it takes the place of one that still waits."""
        if self._unread:
            self._read()
        if (pushes := self._pushes.get(person)) is None:
            return 0
        since = self.now - self.budget(person).window
        return len([1 for about, waits, at in pushes if at > since and not (waits and about == alert)])

    def spend(self, push: PushRow) -> None:
        """This push is planned."""
        person, about = (push.org_id, push.supervisor_id), push.alert_id
        if push.state == PENDING and self.budget(person).pushes:
            before = [one for one in self._pushes.get(person, ()) if not (one[1] and one[0] == about)]
            self._pushes[person] = [*before, (about, True, push.planned_at)]

    def give_back(self, push: PushRow) -> None:
        """This push, planned here, is not sent after all."""
        person = push.org_id, push.supervisor_id
        self._pushes[person] = [one for one in self._pushes.get(person, ()) if one[0] != push.alert_id or not one[1]]
