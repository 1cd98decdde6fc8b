"""Duty in a browser: hours painted with a mouse, by keyboard and with a finger; the pages as people see them."""

import pytest
from django.urls import reverse
from playwright.sync_api import Dialog, Page, expect

from orgs.models import Assignment, BusinessHours, Membership
from tests.browser.conftest import DESKTOP, PHONE, Site, check_looks
from tests.factories import AgentFactory

OFFICE = [{"days": [1, 2, 3, 4, 5], "from": "08:00", "to": "17:00"}]


@pytest.fixture
def path(site: Site) -> str:
    """Where Rina, who leads, edits Bayu's hours."""
    AgentFactory(org=site.scene.org, name="Billing Bot")
    Membership.objects.create(org=site.scene.org, user=site.scene.people[0], role="lead")
    held = Assignment.objects.get(user=site.scene.people[1])
    Assignment.objects.filter(pk=held.pk).update(duty=OFFICE)
    return reverse("duty_hours", args=[held.pk])


def opened(site: Site, path: str, **options: object) -> Page:
    page = site.page(site.person(0), **options)  # type: ignore[arg-type]
    page.goto(path)
    page.wait_for_selector("[data-week][data-ready]")
    return page


def cell(page: Page, day: str, begins: str) -> object:
    return page.get_by_role("gridcell", name=f"{day} {begins}", exact=False).first


def field(page: Page, day: str) -> str:
    return page.get_by_role("textbox", name=day, exact=True).input_value()


def stored(site: Site) -> dict[int, list[str]]:
    held = Assignment.objects.get(user=site.scene.people[1])
    found: dict[int, list[str]] = {}
    for one in held.duty:
        for day in one["days"]:
            found.setdefault(day, []).append(f"{one['from']}-{one['to']}")
    return found


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_the_business_hours_of_the_org_lie_behind_the_painted_week(site: Site, path: str, size: dict[str, int]) -> None:
    page = opened(site, path, size=size)
    expect(page.get_by_text("Business hours of the org")).to_be_hidden()  # nobody said any
    BusinessHours.objects.create(org=site.scene.org, hours=[{"days": [1, 7], "from": "22:00", "to": "02:00"}])
    page.reload()
    expect(page.get_by_text("Business hours of the org")).to_be_visible()
    usual = page.locator(".is-usual").evaluate_all("cells => cells.map((cell) => cell.dataset.at)")
    assert sorted(usual) == sorted(f"{day} {slot}" for day, slots in (
        (0, [0, 1, 2, 3, 44, 45, 46, 47]), (1, range(4)), (6, range(44, 48))
    ) for slot in slots)  # fmt: skip
    assert page.locator(".is-usual[aria-selected='true']").count() == 0  # it decides nothing


def test_hours_are_painted_by_dragging_and_kept(site: Site, path: str) -> None:
    page = opened(site, path)
    expect(page.locator("[data-total]")).to_have_text("45 h a week")
    for start, end in (("Saturday 10:00", "Sunday 13:30"), ("Monday 12:00", "Friday 12:30")):
        (day, begins), (last, ends) = start.split(), end.split()
        cell(page, day, begins).hover()  # type: ignore[attr-defined]
        page.mouse.down()
        cell(page, last, ends).hover()  # type: ignore[attr-defined]
        page.mouse.up()
    assert field(page, "Saturday") == field(page, "Sunday") == "10:00-14:00"
    assert field(page, "Wednesday") == "08:00-12:00, 13:00-17:00"
    expect(page.get_by_role("status").filter(has_text="cleared")).to_contain_text("Monday")
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**/duty?*")
    assert stored(site) == {
        **{day: ["08:00-12:00", "13:00-17:00"] for day in range(1, 6)}, 6: ["10:00-14:00"], 7: ["10:00-14:00"],
    }  # fmt: skip


def test_hours_are_painted_by_keyboard_over_midnight_too(site: Site, path: str) -> None:
    page = opened(site, path)
    cell(page, "Monday", "08:00").focus()  # type: ignore[attr-defined]
    page.keyboard.press("End")
    for _ in range(3):
        page.keyboard.press("Shift+ArrowLeft")  # from 22:00
    page.keyboard.press("Shift+ArrowDown")  # on Tuesday too
    page.keyboard.press("Space")
    assert field(page, "Monday") == field(page, "Tuesday") == "08:00-17:00, 22:00-00:00"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Home")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Enter")  # Wednesday 00:00 to 01:00 belongs to Tuesday
    assert (field(page, "Tuesday"), field(page, "Wednesday")) == ("08:00-17:00, 22:00-01:00", "08:00-17:00")
    page.keyboard.press("Delete")
    assert field(page, "Wednesday") == "08:00-17:00"
    page.get_by_role("textbox", name="Friday", exact=True).fill("08:15-12:00")  # what is typed is painted
    expect(cell(page, "Friday", "08:00")).to_have_class("is-hour is-part")  # type: ignore[arg-type]
    expect(cell(page, "Friday", "13:00")).to_have_attribute("aria-selected", "false")  # type: ignore[arg-type]


def test_a_finger_taps_and_holds_and_still_scrolls(site: Site, path: str) -> None:
    page = opened(site, path, size=PHONE, has_touch=True)
    cell(page, "Sunday", "09:00").tap()  # type: ignore[attr-defined]
    assert field(page, "Sunday") == "09:00-09:30"
    session = page.context.new_cdp_session(page)
    boxes = [cell(page, "Sunday", begins).bounding_box() for begins in ("11:00", "12:30")]  # type: ignore[attr-defined]
    points = [{"x": box["x"] + 5, "y": box["y"] + 5} for box in boxes]
    session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": points[:1]})
    page.wait_for_selector(".is-chosen")
    session.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": points[1:]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert field(page, "Sunday") == "09:00-09:30, 11:00-13:00"
    pinch = [points[0], {"x": points[0]["x"], "y": points[0]["y"] + 60}]
    page.clock.install()
    for n in (1, 2):  # two fingers rest: they zoom, and paint nothing
        session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": pinch[:n]})
    page.clock.fast_forward(500)
    expect(page.locator(".is-chosen")).to_have_count(0)
    for left in (pinch[:1], []):
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": left})
    assert field(page, "Sunday") == "09:00-09:30, 11:00-13:00"
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_whoever_paints_hours_is_no_longer_always_on_duty(site: Site, path: str) -> None:
    """Mutation: "Always on duty" stays chosen, and the hours are gone when they are saved."""
    Assignment.objects.filter(user=site.scene.people[1]).update(duty=[])
    page = opened(site, path)
    expect(page.get_by_label("Always on duty")).to_be_checked()
    expect(page.get_by_role("textbox", name="Monday", exact=True)).to_be_disabled()
    cell(page, "Monday", "08:00").click()  # type: ignore[attr-defined]
    expect(page.get_by_label("At these hours")).to_be_checked()
    expect(page.get_by_role("textbox", name="Monday", exact=True)).to_be_enabled()
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    page.locator(".lm-crumb a").click(no_wait_after=True)  # by mistake
    expect(page.get_by_role("textbox", name="Monday", exact=True)).to_have_value("08:00-08:30")
    assert asked == ["beforeunload"]
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**/duty?*")
    assert stored(site) == {1: ["08:00-08:30"]} and len(asked) == 1


@pytest.mark.parametrize("language", ["en", "id"])
@pytest.mark.parametrize("where", ["/duty", "hours", "/duty/mine", "/duty/calendar"])
def test_the_pages_can_be_read_by_everybody(site: Site, path: str, where: str, language: str) -> None:
    BusinessHours.objects.create(org=site.scene.org, hours=OFFICE)
    page = site.page(site.person(0, locale=language, theme="auto"))
    page.goto(path if where == "hours" else where)
    check_looks(page, where, colours=language == "en")
