"""Bots that give up, played by the simulator against the real service: who asks first leaves fewer rooms alone."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from alerts.models import Alert, FailureEvent
from demo.simulator.words import INVENTED_AGENTS
from orgs import clock as database_clock
from orgs.keys import issue
from orgs.models import Org, Source
from tests.factories import AgentFactory, AssignmentFactory, OrgFactory, SourceFactory, SupervisorRoleFactory
from tests.outbox import set_gate
from tests.stack import Stack, stack, until
from tests.standins import ROOT, Standins

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("system")]
ROOMS = 4  # alive at a time: so many at most are left in the middle when the play ends
BY_DAY, BY_NIGHT = INVENTED_AGENTS[:2], INVENTED_AGENTS[2:4]


@pytest.fixture
def running(standins: Standins, transactional_db: None) -> Iterator[Stack]:
    set_gate()
    with stack(standins) as made:
        made.start("web")
        made.start("dispatcher")
        yield made


def half_staffed() -> tuple[Org, str]:
    """An org where somebody is on duty for two of four agents; a key of its source."""
    org = OrgFactory()
    back = database_clock.now() + timedelta(days=3)
    for names, away_until in ((BY_DAY, None), (BY_NIGHT, back)):
        role = SupervisorRoleFactory(org=org)
        role.agents.set([AgentFactory(org=org, name=name) for name in names])
        AssignmentFactory(org=org, role=role, away_until=away_until)
    return org, issue(Source.objects.get(pk=SourceFactory(org=org).pk), ["ingest"])[1]


def simulate(running: Stack, key: str, scenario: str, folder: Path) -> subprocess.Popen[str]:
    options = ["--scenario", scenario, "--seed", "5", "--count", "100", "--rate", "1000", "--rooms", str(ROOMS)]
    where = ["--base-url", running.url, "--key", key, "--agents", "4"]
    return subprocess.Popen(
        [sys.executable, "-m", "demo.simulator", *options, *where],
        cwd=ROOT,
        env=os.environ | {"DATA_DIR": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
    )


def abandoned(org: Org) -> list[str]:
    """The agent of each room whose customer waited for a day."""
    found = Alert.objects.filter(org=org, resolved_kind=Alert.By.ABANDONED)
    return list(found.values_list("agent__name", flat=True))


def test_a_bot_that_asks_who_is_there_leaves_fewer_rooms_abandoned(running: Stack, clock: Any, tmp_path: Path) -> None:
    (promising, first), (asking, second) = half_staffed(), half_staffed()
    players = [simulate(running, first, "handoff", tmp_path), simulate(running, second, "honest", tmp_path)]
    said = [player.communicate(timeout=60)[0] for player in players]
    assert [player.returncode for player in players] == [0, 0]
    assert "0 kept by their bot" in said[0] and "0 waited for nobody" in said[1], said

    clock.advance(hours=25)
    until(lambda: not Alert.objects.exclude(state="resolved").exists())
    alone = abandoned(promising)
    assert len(alone) > 2 * ROOMS and set(alone) >= set(BY_NIGHT)
    assert len(abandoned(asking)) <= ROOMS < len(alone)
    handed = FailureEvent.objects.filter(org=asking, signal="unexpected_handoff")
    assert handed.exists()
    assert set(handed.values_list("agent__name", flat=True)) <= set(BY_DAY)
