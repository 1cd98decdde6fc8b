"""A wall board's side of the live feed: it hears that something changed, never what."""

from collections.abc import Collection
from functools import lru_cache
from typing import NamedTuple

import msgspec

from console.live.client import Client
from console.live.hub import NOTHING_OPEN
from console.live.wire import Frame, encode
from orgs.auth import OrgIds
from orgs.models import Wall


class Screen(NamedTuple):
    """A wall board, as it was when its socket opened."""

    wall_id: int


class _Link(msgspec.Struct):
    checksum: str


class _Outline(msgspec.Struct):
    """Of a frame of the hub what a wall board may know; whatever else stands in it is left out."""

    type: str
    orgs: dict[str, str | _Link]


class Onlooker(Client):
    """A client whose frames say their kind and the org's checksum: {type, sum}. The page then loads its list anew."""

    def offer(self, frame: Frame) -> None:
        super().offer(_outlined(frame))


@lru_cache(maxsize=64)
def _outlined(frame: Frame) -> Frame:
    """The frame for wall boards, made once for all that hear it."""
    said = msgspec.json.decode(frame.text, type=_Outline)
    link = next(iter(said.orgs.values()), NOTHING_OPEN)
    return encode({"type": said.type, "sum": link if isinstance(link, str) else link.checksum})


def screens_now(screens: Collection[Screen]) -> dict[Screen, OrgIds]:
    """The org each of these wall boards shows; one that was revoked is missing. At most one query."""
    if not screens:
        return {}
    live = Wall.objects.filter(pk__in={one.wall_id for one in screens}, revoked_at=None)
    orgs = dict(live.values_list("pk", "org_id"))
    return {one: OrgIds.of([orgs[one.wall_id]]) for one in screens if one.wall_id in orgs}
