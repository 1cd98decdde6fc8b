"""What colour says on the screen is said without it: in forced colours, and on paper."""

from datetime import UTC, datetime, timedelta

from playwright.sync_api import Page, expect

from tests.browser.conftest import DESKTOP, PHONE, TABLET, Site, check_axe
from tests.factories import AssignmentFactory

LOOKS = """(selector) => { const style = getComputedStyle(document.querySelector(selector));
    return [style.backgroundColor, style.color]; }"""


def looks(page: Page, selector: str) -> list[str]:
    """Background and ink of the first that matches."""
    found: list[str] = page.evaluate(LOOKS, selector)
    return found


def lightness(colour: str) -> float:
    """How light `rgb(...)` is, 0 to 255."""
    return sum(float(part) for part in colour.removeprefix("rgba(").removeprefix("rgb(").rstrip(")").split(",")[:3]) / 3


def test_late_and_current_are_seen_in_forced_colours_and_critical_is_darkest_on_paper(site: Site) -> None:
    early = (datetime.now(UTC) - timedelta(minutes=9)).isoformat()
    site.fails("late", occurred_at=early)
    site.fails("new")
    site.fails("warning", "message_cap")
    page = site.board()
    expect(page.locator(".lm-row")).to_have_count(3)
    late = f"#row-{site.scene.alert('late').pk}"
    expect(page.locator(late)).to_have_class("lm-row lm-row--crit lm-row--late")
    page.emulate_media(forced_colors="active")
    assert looks(page, f"{late} .lm-wait") != looks(page, f"#row-{site.scene.alert('new').pk} .lm-wait")
    for current, other in ((".lm-tabs a[aria-current]", ".lm-tabs a:not([aria-current])"),
                           (".lm-nav a[aria-current]", ".lm-nav a:not([aria-current]):not(.lm-brand)")):  # fmt: skip
        assert looks(page, current)[0] != looks(page, other)[0]
        assert len(set(looks(page, current))) == 2
    assert looks(page, ".lm-nav a[aria-current] .lm-count") == looks(page, ".lm-nav a[aria-current]")[::-1]
    expect(page.locator(".lm-printed")).to_be_hidden()
    page.emulate_media(forced_colors="none", media="print", color_scheme="dark")
    expect(page.locator(".lm-printed")).to_contain_text("data as of")  # paper does not tick
    expect(page.locator(".lm-printed")).to_be_visible()
    shades = [lightness(looks(page, f"#row-{site.scene.alert(room).pk} .lm-wait")[0]) for room in ("new", "warning")]
    assert shades[0] < 32 < shades[1] < 255
    assert looks(page, f"#row-{site.scene.alert('new').pk} .lm-wait > *")[1] == "rgb(255, 255, 255)"
    for path in ("/", f"/alerts/{site.scene.alert('new').pk}", "/reach"):
        page.goto(path)
        assert page.locator("button:visible, .btn:visible").count() == 0, path
        assert lightness(looks(page, "h1, h2")[1]) < 60, path
        for control in (".lm-tabs", ".lm-crumb", "#verdict", ".lm-alert-acts"):
            assert page.locator(f"{control}:visible").count() == 0, (path, control)


def test_the_parts_of_an_org_are_tabs_and_an_error_opens_its_own(site: Site) -> None:
    AssignmentFactory(org=site.scene.org, role=site.scene.role)
    specialist = site.person(0, is_specialist=True)
    page = site.context(specialist).new_page()  # Django's own select boxes complain of the policy
    page.goto(f"/admin/orgs/org/{site.scene.org.pk}/change/")
    expect(page.locator("#org-part")).to_be_visible()
    expect(page.locator("#agents-group")).to_be_hidden()
    page.locator(".lm-parts a[href='#supervisor_roles-group']").press("Enter")
    expect(page.locator("#supervisor_roles-group")).to_be_visible()
    expect(page.locator("#org-part")).to_be_hidden()
    page.locator("#id_supervisor_roles-0-name").fill("")
    page.locator(".lm-parts a[href='#agents-group']").click()
    page.locator("input[name=_continue]").last.click()
    expect(page.locator(".lm-parts a[href='#supervisor_roles-group']")).to_have_attribute("aria-current", "true")
    expect(page.locator("#supervisor_roles-group .errorlist")).to_be_visible()
    for size in (PHONE, TABLET, DESKTOP):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        check_axe(page, rules={"empty-table-header": {"enabled": False}})  # Django's own
