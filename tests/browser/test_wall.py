"""The wall board on a television: what is seen from across the room, and that nothing stops it for weeks."""

import json
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Error, Page, Response, expect

from alerts import actions
from orgs import clock as database_clock
from orgs.models import Membership, Policy
from orgs.walls import find_wall, make_wall, revoke_wall
from tests.browser.conftest import Site, check_looks
from tests.browser.proxy import Proxy
from tests.conftest import Clock

TELEVISION = {"width": 1920, "height": 1080}
FITS = """(width) => {
  const shown = [...document.querySelectorAll('.wall-row')].filter((row) => row.checkVisibility()).length;
  const said = document.querySelector('[data-more]').textContent;
  const fits = innerWidth === width && document.documentElement.scrollHeight <= innerHeight;
  return fits && said === `and ${document.getElementById('now').dataset.open - shown} more`;
}"""
LIVE = "#link[data-state=live]"


def wall_of(site: Site, **look: str) -> str:
    """The path of a new wall board of the org."""
    return "/wall/" + make_wall(site.scene.org, **{"locale": "en", **look})[1].rpartition("/")[2]


def open_wall(site: Site, path: str) -> tuple[Page, list[str]]:
    """A television that nobody signed in on, with a clock that can be moved; and every page address it ever loads."""
    page, seen = site.page(size=TELEVISION), []

    def note(answer: Response) -> None:
        if answer.request.is_navigation_request() or answer.request.resource_type in ("fetch", "document"):
            seen.append(answer.url)

    page.on("response", note)
    page.clock.install()
    page.goto(path)
    page.wait_for_selector(LIVE)
    return page, seen


def lasts(page: Page, minutes: int) -> None:
    """So much time passes on the television, in which its timers run as they would."""
    for _ in range(minutes):
        page.clock.fast_forward(60_000)


def comes_back(page: Page) -> None:
    """It connects by itself. Its next attempt may be most of a minute away, which passes here at once."""
    for _ in range(10):
        page.clock.fast_forward(60_000)
        with suppress(Error):
            page.wait_for_selector(LIVE, timeout=4_000)
            break
    page.wait_for_selector(LIVE)
    expect(page.locator("#stale")).to_be_hidden()


def newer_version(site: Site, folder: Path) -> str:
    """A data folder whose static files are those of another version."""
    shutil.copytree(Path(site.web.env["DATA_DIR"]) / "static", folder / "static")
    manifest = folder / "static" / "staticfiles.json"
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(content | {"hash": "another"}))
    return str(folder)


@pytest.mark.slow
def test_it_lives_for_an_hour_and_for_days_through_restarts_and_gaps_and_never_sees_a_log_in(
    site: Site, clock: Clock, tmp_path: Path
) -> None:
    site.fails("r1", room_label="Siti Rahayu")
    with Proxy(site.web.url, site.web.proxy_port) as proxy:
        site.url = proxy.url
        page, seen = open_wall(site, wall_of(site))
        expect(page.locator("h1")).to_have_text("1 alert needs a human")
        page.evaluate("window.sameDocument = true")

        site.fails("r2", "low_confidence")  # by the socket: no timer is moved
        expect(page.locator(".wall-row")).to_have_count(2)
        actions.take(site.scene.alert("r1").pk, site.person(0))
        expect(page.locator(".wall-row").last).to_contain_text("Rina")

        for hour in range(2):  # killed, away for half an hour, back; then another half
            site.web.running["web"].kill()
            site.scene.fails(room=f"meanwhile-{hour}")
            clock.advance(minutes=30)
            page.clock.fast_forward(30 * 60_000)
            expect(page.locator("#stale")).to_contain_text("Stale since")
            site.web.start("web")
            clock.advance(minutes=30)
            comes_back(page)
            expect(page.locator(".wall-row")).to_have_count(3 + hour)
            lasts(page, 29)

        proxy.cut()  # no way there, for days
        site.scene.fails(room="cut-off")
        clock.advance(days=8)
        page.clock.fast_forward(8 * 86_400_000)
        expect(page.locator("#stale")).to_be_visible()
        proxy.mend()
        comes_back(page)
        expect(page.locator(".wall-row")).to_have_count(5)
        assert page.evaluate("window.sameDocument")  # until here it is one page
        page.wait_for_function(  # the page was read a moment ago, so a minute may have ended since
            "() => document.querySelector('#clock time').innerText === new Date(Date.parse("
            "document.getElementById('now').dataset.now)).toLocaleTimeString('en-GB',"
            " { hour: '2-digit', minute: '2-digit', timeZone: 'Asia/Jakarta' })"
        )

        site.web.running["web"].kill()
        try:
            site.web.start("web", DATA_DIR=newer_version(site, tmp_path))
            comes_back(page)
            page.wait_for_function("() => !window.sameDocument")
            page.wait_for_selector(LIVE)
        finally:
            site.web.running["web"].kill()
            site.web.start("web")
        comes_back(page)
        assert not [address for address in seen if "/accounts/" in address]
        assert not page.context.cookies()


def test_a_lead_hangs_one_up_and_takes_it_down_by_keyboard(site: Site) -> None:
    Membership.objects.create(org=site.scene.org, user=site.scene.people[0], role="lead")
    site.fails("r1")
    desk = site.page(site.scene.people[0])
    desk.goto("/")
    desk.get_by_role("navigation", name="Set up").get_by_role("link", name="Wall boards").press("Enter")
    desk.get_by_label("Name").fill("Hall")
    desk.get_by_role("button", name="Make the address").press("Enter")
    address = desk.locator(".lm-secret code").inner_text()
    check_looks(desk, "made")
    page, _ = open_wall(site, "/wall/" + address.rpartition("/")[2])
    expect(page.locator(".wall-row")).to_have_count(1)
    desk.goto("/walls")
    check_looks(desk, "walls")
    desk.locator("summary", has_text="Revoke: Hall").press("Enter")
    desk.get_by_role("button", name="Revoke it now").press("Enter")
    expect(page.get_by_role("heading", name="This wall was revoked")).to_be_visible()
    expect(page.locator("a, button, .wall-row, #clock")).to_have_count(0)
    page.clock.fast_forward(600_000)
    expect(page).to_have_title("This wall was revoked")


def test_who_was_away_when_it_was_revoked_is_told_all_the_same(site: Site) -> None:
    with Proxy(site.web.url, site.web.proxy_port) as proxy:
        site.url = proxy.url
        path = wall_of(site)
        page, _ = open_wall(site, path)
        proxy.cut()
        revoke_wall(find_wall(path.rpartition("/")[2]), database_clock.now())
        page.clock.fast_forward(60_000)
        proxy.mend()
        page.clock.fast_forward(60_000)
        expect(page.get_by_role("heading", name="This wall was revoked")).to_be_visible()


def test_it_is_read_on_every_screen_and_what_does_not_fit_is_counted(site: Site) -> None:
    for n in range(20):
        site.scene.fails("agent_error" if n % 3 else "low_confidence", room=f"r{n}", ago=40 * n)
    page, _ = open_wall(site, wall_of(site, theme="auto"))
    for size in (TELEVISION, {"width": 1440, "height": 900}):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        page.wait_for_function(FITS, arg=size["width"])
        assert page.locator(".wall-row:visible").count() >= 5
    check_looks(page, "wall")


UNTIDY = """() => {
  const box = (one) => one.getBoundingClientRect();
  const shown = (selector) => [...document.querySelectorAll(selector)].filter((one) => one.checkVisibility());
  const uneven = shown(".wall-tile").filter((tile) => {
    const [name, note, state, figure] = [...tile.children].map(box);
    const apart = [note.right - figure.right, name.left - state.left].some((pixels) => Math.abs(pixels) > 1);
    return apart || state.top < name.bottom - 4;
  });
  const line = (one) => parseFloat(getComputedStyle(one).lineHeight);
  const high = shown(".wall-who > span").filter((who) => box(who).height > 2.5 * line(who));
  return [...uneven, ...high].map((one) => one.innerText);
}"""


OVERLAPPING = """() => [...document.querySelectorAll(".wall-row")].filter((row) => {
  const box = (one) => one.getBoundingClientRect();
  const who = box(row.querySelector(".wall-who")), wait = row.querySelector(".wall-wait-of");
  const about = [...row.querySelector(".wall-about").children].map(box);
  const beside = about.some((one) => one.right > who.left && one.bottom > who.top);
  const short = box(row.querySelector(".wall-wait")).height < row.clientHeight - 1; // its colour fills the row
  const two = box(wait).height > 1.5 * parseFloat(getComputedStyle(wait).lineHeight);
  return row.checkVisibility() && (beside || short || two);
}).map((row) => row.innerText)"""


@pytest.mark.parametrize("width", [768, 1440, 1920])
def test_tiles_look_alike_and_who_is_on_it_takes_two_lines_at_most(site: Site, width: int) -> None:
    for n in range(9):
        site.fails(f"r{n}", "unexpected_handoff", agent_name=f"Card Helper {n % 2}")
    page = site.page(size={"width": width, "height": 1080})
    page.goto(wall_of(site, locale="id"))
    page.wait_for_selector(LIVE)
    expect(page.locator(".wall-who").first).to_contain_text("Dialihkan, belum ada yang datang")
    assert page.evaluate(UNTIDY) == []
    Policy.objects.filter(org=site.scene.org).update(limits={})
    for n in range(6):
        site.fails(f"s{n}", agent_name="Sales Assistant")
    page.reload()
    expect(page.locator(".wall-folded").first).to_contain_text("percakapan di bawahnya perlu ditangani")
    assert page.evaluate(OVERLAPPING) == []
