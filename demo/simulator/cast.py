"""Who plays: orgs, their agents and supervisors, from `demo.json` and the options."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from demo.commandline import Refused
from demo.simulator.words import INVENTED_AGENTS


@dataclass(frozen=True)
class Player:
    """One agent of one org. `org_id` None: the key's source is bound to its org, which is not named."""

    org_id: str | None
    agent_name: str
    agent_version: str
    supervisors: tuple[str, ...] = ()
    webhook: str = ""  # the path of its chat product's address; empty: room activity goes by key
    chat_ids: tuple[str, ...] = ()  # what the chat product calls the supervisors, in their order


@dataclass(frozen=True)
class Demo:
    """What the demo set-up left behind: a key of a platform source, who plays, and the orgs it may write for."""

    source_key: str = ""
    players: tuple[Player, ...] = ()
    orgs: tuple[str, ...] = ()  # all of which the agents' runs are told


def read_demo(path: Path) -> Demo:
    """Read `demo.json`; an absent file is an empty demo. Raises `Refused` where it is damaged."""
    if not path.is_file():
        return Demo()
    try:
        content = json.loads(path.read_bytes())
        players = [player for org in content["orgs"] for player in _players(org)]
        orgs = [org["external_id"] for org in (*content["orgs"], *content.get("neighbours", ()))]
        return Demo(source_key=content["source_key"], players=tuple(players), orgs=tuple(orgs))
    except (ValueError, KeyError, TypeError) as problem:
        raise Refused(f"{path} is not what the demo set-up writes ({problem!r}).") from problem


def choose(demo: Demo, orgs: Sequence[str], agents: int | None) -> list[Player]:
    """The players of these orgs (none named: all known), as many agents as asked, in turns by org.

    More agents than known are invented: the service takes unknown agents as unconfirmed ones.
    """
    wanted: list[str | None] = [*dict.fromkeys(orgs)]
    if not wanted:
        wanted = [*dict.fromkeys(player.org_id for player in demo.players)] or [None]
    benches = [[player for player in demo.players if player.org_id == org] for org in wanted]
    size = max(agents or sum(len(bench) or len(INVENTED_AGENTS) for bench in benches), 1)
    chosen: list[Player] = []
    turn = 0
    while len(chosen) < size:
        for org, bench in zip(wanted, benches, strict=True):
            if turn < len(bench):
                chosen.append(bench[turn])
            elif agents is not None or not bench:
                again, place = divmod(turn, len(INVENTED_AGENTS))
                name = f"{INVENTED_AGENTS[place]} {again + 1}" if again else INVENTED_AGENTS[place]
                like = bench[0] if bench else Player(org, "", "")
                chosen.append(replace(like, agent_name=name, agent_version="1.0.0"))
        turn += 1
    return chosen[:size]


def _players(org: dict[str, Any]) -> list[Player]:
    supervisors = tuple(
        person if isinstance(person, str) else person["sso_id"] for person in org.get("supervisors", ())
    )
    chat_ids = tuple(person["external_user_id"] for person in org.get("supervisors", ()) if isinstance(person, dict))
    return [
        Player(org["external_id"], agent["name"], agent["version"], supervisors, org.get("webhook", ""), chat_ids)
        for agent in org["agents"]
    ]
