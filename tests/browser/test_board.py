"""The live board: rows come, change and go without a reload, and nothing moves under a reader."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from django.db.models import QuerySet
from playwright.sync_api import Page, expect

from alerts import actions
from alerts.models import Alert
from tests.browser.conftest import PHONE, WATCH_SHIFTS, Site, live
from tests.browser.proxy import Proxy
from tests.stack import until
from tests.storm import figures, holders, storm


def test_an_event_is_a_row_without_reload(site: Site) -> None:
    page = site.board()
    page.evaluate("window.sameDocument = true")
    site.fails("r1")
    row = site.row(page, "r1")
    expect(row).to_contain_text("Agent error")
    expect(row).to_contain_text("Customer r1")
    expect(page.locator("h1")).to_have_text("1 alert needs a human")
    expect(page).to_have_title("(1) 1 needs a human · Live")
    expect(page.locator(".lm-nav [data-waiting-count]")).to_have_text("1")
    expect(page.locator("[data-tab=waiting] .lm-num")).to_have_text("1")
    assert page.evaluate("window.sameDocument")


def test_that_nobody_came_is_read_to_its_end_in_the_longer_language(site: Site) -> None:
    site.fails("r1")
    Alert.objects.update(tiers_over_at=datetime.now(UTC))
    page = site.board(site.person(locale="id"))
    name = site.row(page, "r1").locator(".lm-who-name")
    expect(name).to_have_text("Semua tingkat sudah diberi tahu, belum ada yang datang")
    assert name.evaluate("(words) => words.scrollWidth <= words.clientWidth"), "its end is cut off"


def test_a_wait_of_many_hours_stays_in_its_cell(site: Site) -> None:
    site.fails("r1")
    Alert.objects.update(customer_waiting_since=datetime.now(UTC) - timedelta(hours=22, minutes=58, seconds=30))
    page = site.board(site.person(locale="id"))
    clock = site.row(page, "r1").locator(".lm-wait > time")
    expect(clock).to_have_text("22 jam 58")
    fits = "(time) => time.parentElement.scrollWidth <= time.parentElement.clientWidth"
    assert clock.evaluate(fits), "it runs out of its cell"
    clock.evaluate("(time) => { time.removeAttribute('data-long'); time.textContent = '59:59'; }")
    expect(clock).to_have_text("22 jam 58")  # as it ticks on
    assert clock.evaluate(fits)


def test_a_row_worsens_in_place_and_its_clock_ticks(site: Site) -> None:
    site.fails("r1", "low_confidence")
    page = site.board()
    row = site.row(page, "r1")
    expect(row).to_contain_text("Info")
    site.fails("r1", "unexpected_handoff")
    expect(row).to_contain_text("Critical")
    expect(row.locator(".lm-ladder")).to_contain_text("Unexpected handoff ×1")
    before = row.locator(".lm-wait time").inner_text()
    expect(row.locator(".lm-wait time")).not_to_have_text(before)


def test_who_takes_it_is_seen_by_the_other_who_is_told_too_late(site: Site) -> None:
    """Two supervisors race for one alert."""
    site.fails("r1")
    rina, bayu = (site.board(person) for person in site.scene.people)
    site.before(bayu, "**/take", lambda: actions.take(site.scene.alert("r1").pk, site.scene.people[0]))
    site.row(bayu, "r1").get_by_role("button", name="Take it").click()
    expect(bayu.locator(".lm-toast")).to_contain_text("Taken by Rina Wulandari, ")
    expect(site.row(bayu, "r1")).to_contain_text("Rina took it")
    expect(site.row(rina, "r1")).to_contain_text("You took it")
    assert site.scene.alert("r1").assigned_to == site.scene.people[0]


def test_taking_it_can_be_undone(site: Site) -> None:
    site.fails("r1")
    page = site.board()
    row = site.row(page, "r1")
    row.get_by_role("button", name="Take it").click()
    expect(page.locator(".lm-toast")).to_contain_text("You took “Customer r1”.")
    expect(row).to_contain_text("You took it")
    page.locator(".lm-toast").get_by_role("button", name="Undo").click()
    expect(row).to_contain_text("Nobody yet")
    assert site.scene.alert("r1").state == "open"


def test_while_somebody_reads_new_rows_wait_behind_the_pill(site: Site) -> None:
    site.fails("r1")
    page = site.board()
    site.row(page, "r1").hover()
    site.fails("r2")
    site.fails("r3", "message_cap")
    pill = page.get_by_role("button", name="2 new, 1 critical")
    expect(pill).to_be_visible()
    expect(site.row(page, "r2")).to_have_count(0)
    pill.click()
    expect(site.row(page, "r2")).to_be_visible()
    expect(site.row(page, "r3")).to_be_visible()
    expect(page.locator("[data-show-new]")).to_be_hidden()


def test_rows_come_in_by_themselves_when_nobody_has_read_for_five_seconds(site: Site) -> None:
    site.fails("r1")
    page = site.page(site.scene.people[0])
    page.clock.install()
    page.goto("/")
    live(page)
    site.row(page, "r1").hover()
    site.fails("r2")
    expect(page.get_by_role("button", name="1 new")).to_be_visible()
    page.mouse.move(5, 500)
    page.clock.fast_forward(6000)
    expect(site.row(page, "r2")).to_be_visible()


def test_a_paused_board_stands_still_and_says_what_waits(site: Site) -> None:
    page = site.board()
    page.get_by_role("button", name="Pause live").click()
    site.fails("r1")
    expect(page.locator("#paused")).to_contain_text("Live is paused. 1 change waits, and it is critical.")
    expect(site.row(page, "r1")).to_have_count(0)
    page.locator("#paused").get_by_role("button", name="Resume").click()
    expect(site.row(page, "r1")).to_be_visible()
    expect(page.locator("#paused")).to_be_hidden()


def test_a_row_moves_to_its_group_when_nobody_reads(site: Site) -> None:
    site.fails("r1")
    page = site.board()
    actions.take(site.scene.alert("r1").pk, site.scene.people[1])
    expect(page.locator(".lm-part[data-group=on-it] .lm-row")).to_contain_text("Bayu took it")
    expect(page.locator(".lm-part[data-group=waiting]")).to_be_hidden()
    actions.resolve(site.scene.alert("r1").pk, site.scene.people[1])
    expect(page.locator(".lm-part[data-group=resolved] .lm-row")).to_contain_text("Resolved by Bayu")
    expect(page.locator("h1")).to_have_text("No alert needs a human")


def test_filters_hold_for_rows_that_come_live(site: Site) -> None:
    page = site.board(path="/?severity=warning&tab=waiting")
    site.fails("crit")
    site.fails("warn", "message_cap")
    expect(site.row(page, "warn")).to_be_visible()
    expect(site.row(page, "crit")).to_have_count(0)
    expect(page.locator("h1")).to_have_text("2 alerts need a human")
    page.get_by_label("Severity").select_option("critical")
    expect(site.row(page, "crit")).to_be_visible()
    assert "severity=critical" in page.url


def test_a_minute_without_a_way_and_nothing_is_missed(site: Site) -> None:
    """Fault 35: the browser's rows are the database's rows again."""
    site.fails("before")
    with Proxy(site.web.url, site.web.proxy_port) as proxy:
        site.url = proxy.url
        page = site.page(site.scene.people[0])
        page.clock.install()
        page.goto("/")
        live(page)
        proxy.cut()
        for n in range(3):
            site.fails(f"meanwhile-{n}")
        actions.resolve(site.scene.alert("before").pk, site.scene.people[1])
        page.clock.fast_forward(60_000)
        expect(page.locator("#stale")).to_contain_text("Stale since")
        expect(page.locator("#stale")).to_contain_text("Reconnecting in")
        again = page.locator("#stale [data-retry]")
        expect(again).to_be_visible()
        proxy.mend()
        again.dispatch_event("click")  # the page may have tried by itself just before, and have hidden it
        live(page)
        expect(page.locator("#stale")).to_be_hidden()
        for n in range(3):
            expect(site.row(page, f"meanwhile-{n}")).to_be_visible()
        expect(page.locator(".lm-part[data-group=waiting] .lm-row")).to_have_count(3)
        expect(page.locator("h1")).to_have_text("3 alerts need a human")


def test_silence_for_ten_seconds_is_as_good_as_a_cut(site: Site) -> None:
    page = site.page(site.scene.people[0])
    page.clock.install()
    page.goto("/")
    live(page)
    site.web.running["web"].kill(19)  # SIGSTOP: the socket stays open and says nothing
    try:
        page.clock.fast_forward(11_000)
        expect(page.locator("#stale")).to_be_visible()
    finally:
        site.web.running["web"].kill(18)  # SIGCONT
    page.get_by_role("button", name="Try now").click()
    live(page)


def test_whoever_signs_out_elsewhere_is_told_to_sign_in(site: Site) -> None:
    """Fault 33."""
    page = site.board()
    site.scene.people[0].set_unusable_password()
    site.scene.people[0].save()
    expect(page.locator("#stale")).to_contain_text("You are signed out.")
    expect(page.locator("#stale").get_by_role("link", name="Sign in")).to_be_visible()


def watched(site: Site, **options: object) -> Page:
    context = site.context(site.scene.people[0], **options)  # type: ignore[arg-type]
    context.add_init_script(WATCH_SHIFTS)
    page = context.new_page()
    page.goto("/")
    live(page)
    page.evaluate("document.fonts.ready.then(() => { window.shifts.length = 0; })")  # from here on rows arrive
    return page


def no_shift(page: Page, shifts: Callable[[Page], float]) -> None:
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert shifts(page) == 0, page.evaluate("window.shifts")


def test_nothing_shifts_while_rows_arrive_at_once(site: Site, shifts: Callable[[Page], float]) -> None:
    for n in range(3):
        site.fails(f"first-{n}", "message_cap")
    page = watched(site)
    for n in range(9):
        site.fails(f"r{n}")
        expect(site.row(page, f"r{n}")).to_be_visible()
    actions.take(site.scene.alert("r1").pk, site.scene.people[1])
    expect(page.locator(".lm-part[data-group=on-it] .lm-row")).to_have_count(1)
    no_shift(page, shifts)


def test_nothing_shifts_under_a_reader(site: Site, shifts: Callable[[Page], float]) -> None:
    for n in range(4):
        site.fails(f"r{n}", "low_confidence")
    page = watched(site, size=PHONE)
    site.row(page, "r1").hover()
    for signal in ("message_cap", "unexpected_handoff", "agent_error"):
        site.fails("r0", signal)
    site.fails("new")
    expect(site.row(page, "r0")).to_contain_text("Agent error ×1")
    expect(page.get_by_role("button", name="1 new, 1 critical")).to_be_visible()
    actions.take(site.scene.alert("r2").pk, site.scene.people[1])
    expect(site.row(page, "r2")).to_contain_text("Bayu took it")
    no_shift(page, shifts)


def test_shortcuts(site: Site) -> None:
    site.fails("r1")
    site.fails("r2")
    page = site.board()
    first, second = site.row(page, "r1"), site.row(page, "r2")
    page.keyboard.press("j")
    expect(page.locator(".lm-row.is-cursor")).to_have_attribute("id", first.get_attribute("id") or "")
    page.keyboard.press("j")
    expect(page.locator(".lm-row.is-cursor")).to_have_attribute("id", second.get_attribute("id") or "")
    page.keyboard.press("k")
    page.keyboard.press("a")
    expect(first).to_contain_text("You have seen it")
    page.keyboard.press("j")
    page.keyboard.press("t")
    expect(second).to_contain_text("You took it")
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name="Keyboard shortcuts")).to_be_hidden()
    page.keyboard.press("/")
    expect(page.locator("input[name=q]:focus")).to_be_visible()
    page.keyboard.type("r1")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?q=r1")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/alerts/{site.scene.alert('r1').pk}")


def test_o_opens_the_room(site: Site) -> None:
    site.fails("r1")
    page = site.board()
    page.keyboard.press("j")
    with page.expect_popup() as opened:
        page.keyboard.press("o")
    opened.value.wait_for_url("**/rooms/r1")
    expect(site.row(page, "r1")).to_contain_text("You opened the room")


def says(page: Page, alerts: QuerySet[Alert], all_of_mine: QuerySet[Alert]) -> None:
    """Every figure of this page is what the database says: tabs and sections of `alerts`, the rest of all."""
    now = datetime.now(UTC)
    here, whole = figures(alerts, now), figures(all_of_mine, now)
    for name, n in {**here, "all": sum(here.values())}.items():
        if name != "snoozed":
            expect(page.locator(f".lm-tabs [data-count={name}]")).to_have_text(str(n))
    for name in ("waiting", "on-it", "snoozed"):
        alert_word = "alert" if here[name] == 1 else "alerts"
        expect(page.locator(f"[data-counted={name}]")).to_have_text(f"{here[name]} {alert_word}")
    expect(page.locator("h1")).to_have_text(f"{whole['waiting']} alerts need a human")
    expect(page).to_have_title(f"({whole['waiting']}) {whole['waiting']} need a human · Live")
    expect(page.locator(".lm-nav [data-waiting-count]")).to_have_text(str(whole["waiting"]))
    expect(page.locator("[data-count=mine]")).to_have_text(str(holders(all_of_mine).get(page_owner(page), 0)))
    assert "data:image/svg+xml" in (page.locator("[data-favicon]").get_attribute("href") or "")


def page_owner(page: Page) -> str:
    return page.locator("body").get_attribute("data-me") or ""


def test_after_a_storm_every_figure_is_the_databases_and_the_list_is_short(site: Site) -> None:
    """With and without a filter, with what is snoozed, taken and resolved; and with more alerts than are shown."""
    board, filtered = site.board(), site.board(path="/?severity=critical")
    storm(site.scene, rooms=85)
    mine = Alert.objects.filter(org=site.scene.org)
    says(board, mine, mine)
    says(filtered, mine.filter(severity="critical"), mine)
    waiting = board.locator(".lm-part[data-group=waiting]")
    expect(waiting.locator(".lm-row")).to_have_count(50)
    assert waiting.locator(".lm-rows *").count() <= 1500
    left = figures(mine, datetime.now(UTC))["waiting"] - 50
    more = waiting.locator("[data-more]")
    expect(more).to_have_text(f"Show {left} more")

    def all_are_there() -> bool:
        more.evaluate("(link) => link.scrollIntoView()")
        return bool(waiting.locator(".lm-row").count() == 50 + left)

    until(all_are_there)
    order = waiting.locator(".lm-row").evaluate_all("(rows) => rows.map((row) => Number(row.dataset.rank))")
    assert order == sorted(order)
    expect(more).to_be_hidden()


def test_a_snoozed_alert_is_woken_from_its_section(site: Site) -> None:
    site.fails("asleep")
    site.fails("awake")
    page = site.board()
    until = datetime.now(UTC) + timedelta(hours=1)
    actions.snooze(site.scene.alert("asleep").pk, site.scene.people[1], until)
    expect(page.locator("h1")).to_have_text("1 alert needs a human")
    section = page.locator("details[data-group=snoozed]")
    expect(section.locator("summary")).to_have_text("Snoozed or silenced 1 alert")
    expect(site.row(page, "asleep")).to_be_hidden()
    section.locator("summary").click()
    expect(site.row(page, "asleep")).to_contain_text("Snoozed until")
    site.row(page, "asleep").get_by_role("button", name="Wake").click()
    expect(page.locator(".lm-toast")).to_contain_text("“Customer asleep” is awake again.")
    expect(page.locator("h1")).to_have_text("2 alerts need a human")
    page.locator("h1").click()  # nobody reads the list any more
    expect(page.locator(".lm-part[data-group=waiting] .lm-row")).to_have_count(2)
    expect(section).to_be_hidden()


def test_a_clock_that_ticks_and_a_key_restyle_only_what_they_change(site: Site) -> None:
    """By what the browser says it did: a rule about the whole page would restyle each element at each change."""
    storm(site.scene, rooms=60)
    page = site.board()
    expect(page.locator(".lm-row")).not_to_have_count(0)
    elements = page.locator("*").count()
    site.browser.start_tracing(page=page, categories=["disabled-by-default-devtools.timeline", "devtools.timeline"])
    for _ in range(3):
        page.keyboard.press("j")
        before = page.locator(".lm-row time[data-tick]").first.inner_text()
        expect(page.locator(".lm-row time[data-tick]").first).not_to_have_text(before)
    done = json.loads(site.browser.stop_tracing())["traceEvents"]
    restyled = [
        event["args"]["elementCount"] for event in done if event["name"] == "UpdateLayoutTree" and "args" in event
    ]
    assert restyled
    assert max(restyled) < elements / 4


LAID_OUT = "(row) => row.firstElementChild.checkVisibility({ contentVisibilityAuto: true })"


def test_rows_off_the_screen_cost_no_layout_and_are_whole_when_one_comes_there(site: Site) -> None:
    for n in range(50):
        site.fails(f"r{n:02}")
    page = site.board()
    expect(page.locator(".lm-row")).to_have_count(50)
    first, last = site.row(page, "r00"), site.row(page, "r49")
    assert (first.evaluate(LAID_OUT), last.evaluate(LAID_OUT)) == (True, False)
    first.hover()  # somebody reads: rows change in place
    site.fails("r49", "message_cap", room_label="Ibu Sari Handayani")
    expect(last).to_contain_text("Message cap ×1")
    last.scroll_into_view_if_needed()
    page.wait_for_function(LAID_OUT, arg=last.element_handle())
    assert last.evaluate("(row) => row.scrollHeight <= row.clientHeight"), "nothing of it is cut"
