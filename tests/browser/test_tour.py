"""docs/tour.md, walked: its shell is pasted as it is, and what it prints in bold stands on the screen at that step."""

import json
import os
import re
import subprocess
from pathlib import Path

from playwright.sync_api import Page, expect

from alerts import actions
from alerts.models import Alert, DigestAlert, Push
from orgs.models import Policy
from tests.browser.conftest import Site
from tests.outbox import sweep
from tests.standins import ROOT

TOUR = (ROOT / "docs" / "tour.md").read_text()
# The first part makes an org: tests/test_docs.py walks that too.
STEPS = [part.split("\n", 1) for part in re.split(r"^## ", TOUR, flags=re.MULTILINE)[2:]]
SHELL = re.compile(r"^```bash\n(.*?)^```", re.DOTALL | re.MULTILINE)


def said(step: int) -> list[str]:
    """What a step prints in bold."""
    return re.findall(r"\*\*(.+?)\*\*", " ".join(STEPS[step - 1][1].split()))


def paste(site: Site, step: int, folder: Path) -> str:
    (block,) = SHELL.findall(STEPS[step - 1][1])
    told = os.environ | {"LIVE": site.web.url, "KEY": site.key}
    argv = ["bash", "-euo", "pipefail", "-c", block]
    done = subprocess.run(argv, env=told, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def look_away(page: Page) -> None:
    page.evaluate("document.activeElement.blur()")
    page.mouse.move(1, 1)


def titles(kind: str) -> list[str]:
    sent = Push.objects.filter(kind=kind, state="sent").order_by("planned_at")
    return [json.loads(push.body)["title"] for push in sent]


def test_the_tour_from_the_first_failure_to_the_last_room(site: Site, gate: None, tmp_path: Path) -> None:
    Policy.objects.filter(org=site.scene.org).update(limits={})
    rina, bayu = site.scene.people
    page = site.board(rina)
    assert paste(site, 1, tmp_path).count('"status":"created"') == 7
    outage = Alert.objects.get(scope="agent")

    sweep()
    (push,) = said(2)
    assert titles("alert") == [push, push]  # one each

    row = page.locator(f"#row-{outage.pk}")
    (folded,) = said(3)
    expect(row).to_contain_text(folded)
    look_away(page)
    expect(page.locator(".lm-row")).to_have_count(1)

    take, taken, undo = said(4)
    row.get_by_role("button", name=take).click()
    expect(row).to_contain_text(taken)
    look_away(page)
    expect(page.locator('.lm-part[data-group="on-it"] .lm-row')).to_have_count(8)
    sweep()
    assert titles("revoke") == ["Taken by Rina Wulandari"]
    page.get_by_role("button", name=undo).click()
    look_away(page)
    expect(row).to_contain_text(folded)

    resolve, digest = said(5)
    other = site.page(bayu)
    other.goto(f"/alerts/{outage.pk}")
    expect(other.locator("#alert")).to_contain_text(folded)
    expect(other.get_by_role("button", name=take).first).to_be_visible()
    other.get_by_role("button", name=resolve).first.click()
    expect(other.locator("#alert")).to_contain_text("Resolved by")
    while actions.sweep_timers():
        pass
    assert DigestAlert.objects.filter(push__state="pending").count() == 14
    Push.objects.filter(kind="digest").update(next_attempt_at=outage.opened_at, planned_at=outage.opened_at)
    sweep()
    assert titles("digest") == [digest, digest]
    look_away(page)
    expect(page.locator('.lm-part[data-group="waiting"] .lm-row')).to_have_count(7)
