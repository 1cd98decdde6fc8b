"""The Ruby client, run by a real ruby: against the real lane, and against a server that misbehaves."""

import json
import os
import subprocess
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ingest_server import Sender, activities, alerts, events, reviews, runs
from tests.lane_double import LaneDouble, Told

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.ruby
Bot = Callable[..., "subprocess.Popen[str]"]

PRELUDE = """
require ENV["CLIENT"]
$problems = []
def client(**options)
  LiveMonitoring.new(ENV["URL"] || "http://127.0.0.1:1", ENV["KEY"] || "k", on_error: $problems.method(:<<), **options)
end
def failure(name = "e-1", **fields)
  {event_id: name, signal: "agent_error", agent_name: "Bot", room_id: "r-7", error: {type: "Timeout"}}.merge(fields)
end
def answer(*values) = puts(JSON.generate(values))
"""


@pytest.fixture
def bot() -> Iterator[Bot]:
    """Run a script in ruby; what is given by name is in ENV."""
    started: list[subprocess.Popen[str]] = []

    def run(script: str, **env: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            ["ruby", "-w", "-e", PRELUDE + textwrap.dedent(script)],
            env=os.environ | {"CLIENT": str(ROOT / "clients" / "ruby" / "live_monitoring.rb")} | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def finish(process: "subprocess.Popen[str]") -> Any:
    """The values it answered."""
    out, err = process.communicate(timeout=40)
    assert (process.returncode, err) == (0, "")
    return json.loads(out) if out else None


def ids(double: LaneDouble) -> list[str]:
    return [item["event_id"] for item in double.items()]


# --- The real lane ----------------------------------------------------------------------------------------


@pytest.fixture
def lane(sender: Sender) -> dict[str, str]:
    return {"URL": f"http://127.0.0.1:{sender.port}", "KEY": sender.key}


def test_all_signals_and_what_the_human_did_arrive(bot: Bot, lane: dict[str, str]) -> None:
    script = """
        monitor = client
        common = {agent_name: "Billing Bot", room_id: "r-7"}
        monitor.report_failure(signal: "low_confidence", confidence: Rational(1, 4), threshold: 0.5, **common)
        monitor.report_failure(signal: "message_cap", message_count: 20, message_cap: 20, **common)
        monitor.report_failure(signal: "unexpected_handoff", handoff: {completed: false, reason: nil}, **common)
        monitor.report_failure(signal: :agent_error, error: {type: "Timeout"}, occurred_at: Time.now - 60, **common)
        monitor.report_failure(signal: "help_requested", **common)
        monitor.report_room_activity(room_id: "r-7", kind: "human_message", actor_external_id: 42)
        answer(monitor.flush, $problems)
    """
    flushed, problems = finish(bot(script, **lane))
    assert (flushed, problems) == ({"delivered": 6, "failed": 0, "dropped": 0, "waiting": 0}, [])
    signals = {"agent_error", "unexpected_handoff", "message_cap", "low_confidence", "help_requested"}
    assert {event.signal for event in events()} == signals
    assert [activity.kind for activity in activities()] == ["human_message"]
    assert [alert.state for alert in alerts()] == ["intervened"]


def test_many_arrive_in_few_packed_requests_and_a_bad_one_fails_alone(bot: Bot, lane: dict[str, str]) -> None:
    script = """
        monitor = client
        500.times { |n| monitor.report_failure(failure("e-#{n}", colour: n == 7 ? "red" : nil)) }
        answer(monitor.flush(30), monitor.stats, $problems.map { |p| [p.code, p.item_id, p.lost, p.field] })
    """
    flushed, stats, problems = finish(bot(script, **lane))
    assert (flushed["delivered"], flushed["failed"], problems) == (499, 1, [["unknown_field", "e-7", True, "colour"]])
    assert stats["requests"] < 20
    assert [event.event_id for event in events()] == [f"e-{n}" for n in range(500) if n != 7]


def test_an_unknown_key_fails_what_it_sent(bot: Bot, lane: dict[str, str]) -> None:
    script = """
        monitor = client
        monitor.report_failure(failure)
        answer(monitor.flush, $problems.map { |p| [p.code, p.status] })
    """
    flushed, problems = finish(bot(script, **lane | {"KEY": "no.key"}))
    assert (flushed["failed"], problems) == (1, [["unauthenticated", 401]])


def test_the_lane_takes_the_alarm_with_what_is_left_of_its_prose(bot: Bot, lane: dict[str, str]) -> None:
    script = """
        monitor = client
        texts = ["x" * 2001, "a\\0b", "half \\xED\\xA0\\xBD", "caf\\xe9", "caf\\xe9".b, "\\u00e9".encode("UTF-16LE")]
        texts.each_with_index do |text, n|
          monitor.report_failure(failure(n, room_id: n, error: {type: "T" * 201, message: text}, room_label: text,
                                         last_customer_text: text, metadata: {text => [text], n: n}))
        end
        answer(monitor.flush(20), $problems)
    """
    flushed, problems = finish(bot(script, **lane))
    assert (flushed["delivered"], problems) == (6, [])
    assert {event.event_id for event in events()} == set("012345")


# --- Texts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "text", "marked"),
    [
        ('"x" * 2001', "x" * 1999 + "…", True),
        ('"a\\0b"', "a\ufffdb", True),
        ('"caf\\xe9"', "caf\ufffd", True),
        ('"caf\\xe9".dup.force_encoding("ISO-8859-1")', "café", False),
        ('"caf\\u00e9".b', "café", False),
        ('RuntimeError.new("an exception")', "an exception", False),
        ("404", "404", False),
        ('"\\u{1F600}" * 2000', "😀" * 2000, False),
    ],
)
def test_a_text_is_cut_and_cleaned_and_marked(
    bot: Bot, double: LaneDouble, given: str, text: str, marked: bool
) -> None:
    script = f"""
        monitor = client
        monitor.report_failure(failure(error: {{type: "T", message: {given}}}, metadata: {{tool: "search"}}))
        answer(monitor.flush(20))
    """
    (flushed,) = finish(bot(script, URL=double.url))
    (item,) = double.items()
    assert (flushed["delivered"], item["error"]["message"]) == (1, text)
    assert item["metadata"] == {"tool": "search"} | ({"truncated": ["error.message"]} if marked else {})


def test_metadata_that_is_too_much_is_left_out_and_names_stay_what_they_are(bot: Bot, double: LaneDouble) -> None:
    script = """
        monitor = client
        monitor.report_failure(failure(7, room_id: 42, agent_name: "n" * 201, message_count: 3,
                                       metadata: {trace: "x" * 9000}))
        answer(monitor.flush(20))
    """
    finish(bot(script, URL=double.url))
    (item,) = double.items()
    assert (item["event_id"], item["room_id"], item["message_count"]) == ("7", "42", 3)
    assert (item["agent_name"], item["metadata"]) == ("n" * 201, {"truncated": ["metadata"]})


@pytest.mark.parametrize(
    "metadata",
    [
        "{score: Float::NAN}",
        "{}.tap { |endless| endless[:again] = endless }",
        "{thing: Class.new { def to_s = raise('evil') }.new}",
        "{deep: (1..40).reduce(1) { |inner, _| [inner] }}",
        "['a list']",
        "'a text'",
    ],
)
def test_metadata_that_cannot_be_said_is_left_out_and_loses_no_alarm(
    bot: Bot, double: LaneDouble, metadata: str
) -> None:
    script = f"""
        monitor = client
        monitor.report_failure(failure(metadata: {metadata}))
        answer(monitor.flush(20))
    """
    finish(bot(script, URL=double.url))
    (item,) = double.items()
    assert item["metadata"] == {"truncated": ["metadata"]}


# --- Trouble ----------------------------------------------------------------------------------------------


def test_a_report_raises_nothing_and_returns_at_once(bot: Bot) -> None:
    script = """
        monitor = client(exit_timeout: 0)
        began = Process.clock_gettime(Process::CLOCK_MONOTONIC)
        loop_of = {}
        loop_of[:again] = loop_of
        evil = Class.new { def to_s = raise("evil") }.new
        [nil, 1, {}, failure, failure(confidence: Float::NAN), failure(error: loop_of), failure(room_label: "\\xff"),
         failure(channel: evil), {"event_id" => "by string"}].each { |fields| monitor.report_failure(fields) }
        monitor.report_room_activity
        seconds = Process.clock_gettime(Process::CLOCK_MONOTONIC) - began
        stats = monitor.stats
        answer(seconds, stats[:reported], stats[:failed], stats[:waiting])
    """
    seconds, reported, failed, waiting = finish(bot(script))
    assert seconds < 1
    assert (reported, failed, waiting) == (10, 5, 5)


def test_a_full_queue_drops_the_oldest_and_counts_them(bot: Bot, double: LaneDouble) -> None:
    double.let_go.clear()
    script = """
        monitor = client(max_items: 10)
        monitor.report_failure(failure("first"))
        sleep 0.01 until monitor.stats[:requests] == 1
        15.times { |n| monitor.report_failure(failure("e-#{n}")) }
        answer(monitor.stats[:dropped])
        $stdout.flush
        monitor.flush(20)
    """
    process = bot(script, URL=double.url)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline()) == [5]
    double.let_go.set()
    finish(process)
    assert ids(double) == ["first", *(f"e-{number}" for number in range(5, 15))]


@pytest.mark.parametrize(
    "told",
    [
        Told(503, {"Retry-After": "0"}),
        Told(429, {"Retry-After": "0"}),
        Told(500),
        Told(200, body=b"<html>"),
        Told(207, body=b'{"results": []}'),
        Told(302, {"Location": "http://127.0.0.1:1"}, b""),
        Told(207, drip=0.2),
        Told(207, body=b" " * 2_000_000),
        Told(hang_up=True),
    ],
    ids=["503", "429", "500", "html", "no results", "redirect", "drips", "huge", "hangs up"],
)
def test_after_trouble_the_same_is_sent_again(bot: Bot, double: LaneDouble, told: Told) -> None:
    double.scripted = [told]
    script = """
        monitor = client(timeout: 1)
        monitor.report_failure(failure)
        answer(monitor.flush(20), $problems.map(&:lost))
    """
    flushed, lost = finish(bot(script, URL=double.url))
    assert (flushed["delivered"], lost) == (1, [False])
    assert len({request.raw for request in double.requests}) == 1
    assert len(double.requests) == 2


def test_a_redirect_that_stays_fails_and_names_its_target(bot: Bot, double: LaneDouble) -> None:
    double.whole = lambda items: Told(301, {"Location": "https://new.example/api?token=canary"}, b"")
    script = """
        monitor = client
        monitor.report_failure(failure)
        answer(monitor.flush(20), $problems.map { |p| [p.code, p.lost, p.status] }, $problems.map(&:message))
    """
    flushed, problems, messages = finish(bot(script, URL=double.url))
    assert (flushed["failed"], len(double.requests)) == (1, 3)
    assert problems == [["redirected", False, 301], ["redirected", True, 301]]
    assert all("https://new.example/api." in message and "canary" not in message for message in messages)


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("nil", "key is nil"),
        (":secret", "key is Symbol"),
        ('""', "key is empty"),
        ('" \\n"', "key is empty"),
        ('"two words"', "place 4"),
        ('"schl\\u00fcssel"', "place 5"),
        ('"two\\nlines"', "place 4"),
    ],
)
def test_a_key_that_cannot_be_one_is_refused_and_says_why(bot: Bot, key: str, wrong: str) -> None:
    (message,) = finish(bot(f'LiveMonitoring.new("http://h", {key}) rescue answer($!.message)'))
    assert wrong in message


def test_the_line_break_that_a_file_leaves_behind_a_key_is_no_part_of_it(bot: Bot, double: LaneDouble) -> None:
    script = "monitor = client; monitor.report_failure(failure); answer(monitor.flush(20))"
    (flushed,) = finish(bot(script, URL=double.url + "\n", KEY="prefix.secret\n"))
    assert flushed["delivered"] == 1
    assert double.requests[0].headers["Authorization"] == "Bearer prefix.secret"


def test_retry_after_is_waited_for(bot: Bot, double: LaneDouble) -> None:
    double.scripted = [Told(503, {"Retry-After": "1.5"})]
    began = time.monotonic()
    finish(bot("monitor = client; monitor.report_failure(failure); monitor.flush(20)", URL=double.url))
    assert len(double.requests) == 2
    assert time.monotonic() - began >= 1.5


@pytest.mark.parametrize("status", [400, 413])
def test_too_much_is_sent_again_in_halves(bot: Bot, double: LaneDouble, status: int) -> None:
    double.whole = lambda items: Told(status) if any(item["event_id"] == "e-7" for item in items) else None
    script = """
        monitor = client
        20.times { |n| monitor.report_failure(failure("e-#{n}")) }
        answer(monitor.flush(20), $problems.map(&:item_id))
    """
    flushed, blamed = finish(bot(script, URL=double.url))
    assert (flushed["delivered"], flushed["failed"], blamed) == (19, 1, ["e-7"])


def test_an_item_that_the_service_stumbles_over_holds_up_no_others(
    bot: Bot, double: LaneDouble, wait_for: Callable[..., Any]
) -> None:
    double.whole = lambda items: Told(500) if any(item["event_id"] == "e-3" for item in items) else None
    script = """
        monitor = client
        6.times { |n| monitor.report_failure(failure("e-#{n}")) }
        sleep 0.05 until monitor.flush(1)[:waiting] <= 1
        answer(monitor.stats)
        $stdout.flush
        sleep 0.05 until monitor.flush(1)[:waiting].zero?
    """
    process = bot(script, URL=double.url)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())[0]["delivered"] == 5
    double.whole = lambda items: None
    finish(process)


def test_no_request_overtakes_within_a_room(bot: Bot, double: LaneDouble) -> None:
    double.let_go.clear()
    script = """
        monitor = client
        20.times do |n|
          monitor.report_failure(failure((2 * n).to_s))
          monitor.report_room_activity(activity_id: (2 * n + 1).to_s, room_id: "r-7", kind: "bot_message")
        end
        puts
        $stdout.flush
        monitor.flush(20)
    """
    process = bot(script, URL=double.url)
    assert process.stdout is not None
    process.stdout.readline()
    double.let_go.set()
    finish(process)
    came = [int(item.get("event_id") or item["activity_id"]) for r in double.requests for item in r.items]
    assert came == list(range(40))


# --- The life of the process ------------------------------------------------------------------------------


def test_a_fork_sends_nothing_twice_and_both_sides_go_on(bot: Bot, double: LaneDouble) -> None:
    script = """
        monitor = client
        20.times { |n| monitor.report_failure(failure("before-#{n}")) }
        child = fork do
          20.times { |n| monitor.report_failure(failure("child-#{n}")) }
          exit!(3) unless monitor.flush(20)[:delivered] == 20
        end
        20.times { |n| monitor.report_failure(failure("parent-#{n}")) }
        Process.wait(child)
        answer(monitor.flush(20), $?.exitstatus)
    """
    flushed, child = finish(bot(script, URL=double.url))
    assert (flushed["delivered"], child) == (40, 0)
    assert sorted(ids(double)) == sorted(f"{who}-{n}" for who in ("before", "parent", "child") for n in range(20))


def test_what_waits_at_the_exit_is_sent(bot: Bot, double: LaneDouble) -> None:
    finish(bot("client.report_failure(failure('last'))", URL=double.url))
    assert ids(double) == ["last"]


def test_what_is_not_delivered_at_the_close_is_dropped_and_counted(bot: Bot) -> None:
    script = """
        monitor = client
        3.times { monitor.report_failure(failure) }
        closed = monitor.close(0.2)
        monitor.report_failure(failure("after"))
        answer(monitor.stats[:dropped], $problems.count(&:lost), closed)
    """
    assert finish(bot(script)) == [4, 3, {"delivered": 0, "failed": 0, "dropped": 3, "waiting": 0}]


def test_the_close_says_what_became_of_the_reports(bot: Bot, double: LaneDouble) -> None:
    script = """
        monitor = client
        2.times { |n| monitor.report_failure(failure("e-#{n}")) }
        monitor.report_failure(failure(confidence: Float::NAN))
        answer(monitor.close(20), monitor.close)
    """
    nothing = {"delivered": 0, "failed": 0, "dropped": 0, "waiting": 0}
    assert finish(bot(script, URL=double.url)) == [nothing | {"delivered": 2, "failed": 1}, nothing]


def test_what_is_lost_at_the_exit_is_counted_in_one_line(bot: Bot) -> None:
    script = """
        monitor = LiveMonitoring.new("http://127.0.0.1:1", "k", exit_timeout: 0.2)
        250.times { |n| monitor.report_failure(failure("e-#{n}")) }
    """
    _, err = bot(script).communicate(timeout=40)
    assert err == "live monitoring: 250 reports were lost, the process ended before anybody took them\n"


def test_a_report_in_a_signal_handler_raises_nothing(bot: Bot, double: LaneDouble) -> None:
    script = """
        monitor = client
        trap("USR1") { monitor.report_failure(failure("handler")) }
        Process.kill("USR1", Process.pid)
        monitor.report_failure(failure("after"))
        monitor.flush
    """
    finish(bot(script, URL=double.url))
    assert "after" in ids(double)


# --- What the agents do -----------------------------------------------------------------------------------


def test_runs_and_reviews_arrive(bot: Bot, lane: dict[str, str]) -> None:
    script = """
        monitor = client
        common = {agent_name: "Billing Bot", input_kind: "faq"}
        id = monitor.log_agent_run_start(surface: "chatbot", **common)
        monitor.log_agent_run_end(run_id: id, resolution: "resolved", tokens_input: 812, cost_usd: "0.00412")
        monitor.log_agent_qc(run_id: id, quality_score: 4, reviewer: "rina")
        monitor.log_agent_qc(run_id: id, quality_score: 3)
        whole = monitor.log_agent_run(started_at: Time.now - 60, resolution: "escalated", **common)
        answer(monitor.flush, $problems, id, whole)
    """
    flushed, problems, first, whole = finish(bot(script, **lane))
    assert (flushed["delivered"], problems) == (5, [])
    assert {(str(one.run_id), one.resolution) for one in runs()} == {(first, "resolved"), (whole, "escalated")}
    assert sorted(review.quality_score for review in reviews()) == [3, 4]


def test_what_is_within_a_run_ends_it(bot: Bot, lane: dict[str, str]) -> None:
    script = """
        monitor = client
        common = {agent_name: "Billing Bot", input_kind: "faq"}
        value = monitor.run(**common) { |run| run.fields[:tokens_output] = 96; 7 }
        monitor.run(**common) { |run| run.escalate(handoff_expected: true) }
        raised = (monitor.run(**common) { raise "no such tool" } rescue $!.message)
        thrown = catch(:out) { monitor.run(**common) { throw :out, "thrown" } }
        answer(monitor.flush, $problems, value, raised, thrown)
    """
    flushed, problems, *values = finish(bot(script, **lane))
    assert (flushed["delivered"], problems, values) == (8, [], [7, "no such tool", "thrown"])
    ended = {(one.resolution, one.tokens_output, one.handoff_expected) for one in runs()}
    assert ended == {("resolved", 96, None), ("escalated", None, True), ("failed", None, None)}
    assert len(runs()) == 4


def test_what_is_said_of_a_run_raises_nothing(bot: Bot) -> None:
    script = """
        monitor = client(exit_timeout: 0)
        evil = Class.new { def to_s = raise("evil") }.new
        [nil, 7, {}, {run_id: evil}, {"run_id" => nil, cost_usd: Float::NAN}].each do |fields|
          monitor.log_agent_run(fields)
          monitor.log_agent_run_end(fields)
          monitor.log_agent_qc(fields)
          monitor.run(fields) { |run| run.fields[:metadata] = evil }
        end
        answer(monitor.stats[:reported], monitor.log_agent_run_start(run_id: evil).size)
    """
    reported, size = finish(bot(script))
    assert (reported, size) == (25, 36)


def test_what_left_the_process_is_counted_each_item_once(bot: Bot, double: LaneDouble) -> None:
    double.scripted = [Told(503, {"Retry-After": "0"})]
    script = """
        monitor = client
        monitor.report_failure(failure("e-1"))
        monitor.flush(20)
        monitor.report_failure(failure(confidence: Float::NAN))
        monitor.log_agent_run_start(agent_name: "Bot", input_kind: "faq")
        monitor.flush(20)
    """
    finish(bot(script, URL=double.url))
    assert [request.headers["X-Items-Sent"] for request in double.requests] == ["1", "1", "3"]
    assert len({request.headers["X-Client-Id"] for request in double.requests}) == 1


def test_who_could_come_is_kept_and_trouble_is_nil(bot: Bot, double: LaneDouble) -> None:
    body = b'{"on_duty": 2, "reachable": 1, "expected_wait_seconds": null, "n": 0, "next_duty_at": null}'
    double.scripted += [Told(200, {}, body), Told(503)]
    script = """
        monitor = client
        first, again = Array.new(2) { monitor.availability("Billing Bot") }
        answer(first["on_duty"], first.equal?(again), monitor.availability("Other", org_id: "org 2"),
               LiveMonitoring.new("http://127.0.0.1:1", "k").availability(nil))
    """
    assert finish(bot(script, URL=double.url)) == [2, True, None, None]
    assert [request.path for request in double.requests] == [
        "/api/availability?agent=Billing+Bot",
        "/api/availability?agent=Other&org_id=org+2",
    ]


def test_a_flush_of_nothing_returns_at_once_and_two_at_once_end_with_each_event_once(
    bot: Bot, double: LaneDouble
) -> None:
    script = """
        monitor = client
        began = Process.clock_gettime(Process::CLOCK_MONOTONIC)
        nothing = monitor.flush(60)
        at_once = Process.clock_gettime(Process::CLOCK_MONOTONIC) - began < 5
        10.times { |n| monitor.report_failure(failure("e-#{n}")) }
        both = 2.times.map { Thread.new { monitor.flush(30) } }.map(&:value)
        answer(nothing.values, at_once, both.sum { |told| told[:delivered] })
    """
    assert finish(bot(script, URL=double.url)) == [[0, 0, 0, 0], True, 10]
    assert sorted(ids(double)) == sorted(f"e-{n}" for n in range(10))


def test_it_leaves_the_signals_of_its_process_as_they_are(bot: Bot, double: LaneDouble) -> None:
    """A handler of a library keeps its host from ending, or ends it."""
    script = """
        before = %w[TERM INT HUP USR1 USR2].to_h { |name| [name, trap(name, "SIG_DFL")] }
        monitor = client
        monitor.report_failure(failure("e-1"))
        monitor.flush(10)
        answer(before.keys.map { |name| trap(name, "SIG_DFL") }.uniq)
    """
    assert finish(bot(script, URL=double.url)) == [["DEFAULT"]]
