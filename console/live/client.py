"""One socket as the hub and presence see it."""

from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from console.live.wire import Frame, PlainWire, Wire
from orgs.auth import OrgIds


class Audience(NamedTuple):
    """Sockets with the same of these get the same bytes."""

    org_ids: OrgIds
    language: str
    rows: bool


class AlertPage(NamedTuple):
    """The page of one alert, open in a browser of this person."""

    alert_id: UUID
    org_id: int
    user_id: int


@dataclass(eq=False)
class Client:
    """A socket: its wire, which orgs it may see, in which language; whether it shows rows, and of which alert it is."""

    wire: Wire | PlainWire
    org_ids: OrgIds
    language: str
    rows: bool = True
    page: AlertPage | None = None
    behind: bool = False

    @property
    def audience(self) -> Audience:
        return Audience(self.org_ids, self.language, self.rows)

    def offer(self, frame: Frame) -> None:
        """Send, unless earlier frames are still unread; then only a beat follows, once they are read."""
        if self.wire.full:
            self.behind = True
        else:
            self.wire.write(frame)
