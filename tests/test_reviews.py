"""Reviews by POST /api/agent-qc: what becomes of each, which one holds, and what is refused."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

import pytest

from console.ingest import check, records
from tests.ingest_server import REVIEWS, RUNS, Sender, review, reviews, run, runs

RUN = "6a90b3d1-2c6b-4a3a-8bb9-23a93ebffb8e"
EMAIL = "sari.canary@example.com"


def posted(sender: Sender, *items: dict[str, Any]) -> list[str]:
    """What becomes of these reviews of one run, each in a post of its own."""
    return [sender.post({"run_id": RUN, **item}, REVIEWS).json["status"] for item in items]


def counted() -> list[tuple[int, int]]:
    return [(stored.review_count, stored.review_sum) for stored in runs()]


def by(reviewer: str | None, score: int, **fields: Any) -> dict[str, Any]:
    return review(run_id=RUN, reviewer=reviewer, quality_score=score, **fields)


@pytest.mark.parametrize("run_first", [True, False])
def test_a_review_counts_whether_its_run_came_before_or_after(sender: Sender, run_first: bool) -> None:
    steps = [lambda: sender.post(run(run_id=RUN), RUNS).status, lambda: sender.post(by("rina", 4), REVIEWS).status]
    assert [step() for step in (steps if run_first else reversed(steps))] == [201, 201]
    assert counted() == [(1, 4)]


def test_the_default_id_is_made_of_run_and_reviewer(sender: Sender) -> None:
    answer = sender.post(by("rina", 4), REVIEWS)
    assert answer.json["id"] == str(uuid5(UUID(RUN), "rina")) == reviews()[0].review_id


def test_a_later_score_of_the_same_reviewer_replaces_the_earlier_and_both_are_kept(sender: Sender) -> None:
    sender.post(run(run_id=RUN), RUNS)
    sent = [by("rina", 2), by("rina", 2), by("rina", 5), by("budi", 3), by("rina", 2)]
    assert posted(sender, *sent) == ["created", "duplicate", "updated", "created", "updated"]
    assert [(one.quality_score, one.replaced_at is None) for one in reviews()] == [
        (2, False), (5, False), (3, True), (2, True),
    ]  # fmt: skip
    assert counted() == [(2, 5)]


def test_they_may_come_in_one_batch(sender: Sender) -> None:
    sender.post(run(run_id=RUN), RUNS)
    answer = sender.post([by("rina", 2), by("rina", 5), by("rina", 5), by("budi", 1)], REVIEWS)
    assert answer.statuses == ["created", "updated", "duplicate", "created"]
    assert counted() == [(2, 6)]


def test_an_id_of_the_sender_s_own_is_one_review(sender: Sender) -> None:
    """With other content it is a conflict; a repeat of one that was replaced since changes nothing."""
    sent = [by("rina", 2, review_id="a"), by("rina", 3, review_id="a"), by("rina", 5, review_id="b")]
    assert posted(sender, *sent, sent[0], sent[2]) == ["created", "conflict", "updated", "duplicate", "duplicate"]
    assert [one.quality_score for one in reviews() if one.replaced_at is None] == [5]


def test_without_a_reviewer_each_id_is_a_review(sender: Sender) -> None:
    sender.post(run(run_id=RUN), RUNS)
    assert posted(sender, by(None, 2, review_id="a"), by(None, 5, review_id="b")) == ["created", "created"]
    assert counted() == [(2, 7)]


def test_two_reviewers_behind_one_mask_stay_two(sender: Sender) -> None:
    sender.post(run(run_id=RUN), RUNS)
    assert posted(sender, by(EMAIL, 2), by(f"x{EMAIL}", 4), by(EMAIL, 3)) == ["created", "created", "updated"]
    assert {one.reviewer for one in reviews()} == {"[email]"}
    assert counted() == [(2, 7)]


def test_what_a_review_says_is_masked_cut_and_flagged(sender: Sender) -> None:
    sent = by("rina", 4, notes=f"ask {EMAIL} " + "x" * 3000, rubric={"tone": 5, EMAIL: 1})
    assert posted(sender, sent, sent) == ["created", "duplicate"]
    (stored,) = reviews()
    assert stored.notes.startswith("ask [email] xx") and len(stored.notes) == 2000
    assert (stored.rubric, stored.flags) == ({"tone": 5, "[email]": 1}, ["masked", "truncated"])


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"run_id": None}, "missing_field", "run_id"),
        ({"run_id": "run-7"}, "invalid_item", "run_id"),
        ({"quality_score": None}, "missing_field", "quality_score"),
        ({"quality_score": 0}, "invalid_item", "quality_score"),
        ({"quality_score": 6}, "invalid_item", "quality_score"),
        ({"quality_score": 4.5}, "invalid_item", "quality_score"),
        ({"quality_score": "4"}, "invalid_item", "quality_score"),
        ({"quality_score": True}, "invalid_item", "quality_score"),
        ({"quality_score": 10**30}, "bad_number", "quality_score"),
        ({"reviewer": None}, "missing_field", "review_id"),
        ({"reviewer": "r" * 201}, "too_long", "reviewer"),
        ({"review_id": "r" * 129}, "too_long", "review_id"),
        ({"review_id": "a\x00"}, "bad_text", "review_id"),
        ({"reviewer": "rina\x00"}, "bad_text", "reviewer"),
        ({"notes": "a\x00"}, "bad_text", "notes"),
        ({"notes": "\ud800"}, "bad_text", "notes"),
        ({"notes": "password: hunter2"}, "secret", "notes"),
        ({"rubric": {"tone": 0}}, "invalid_item", "rubric.tone"),
        ({"rubric": {"tone": 6}}, "invalid_item", "rubric.tone"),
        ({"rubric": {"tone": "5"}}, "invalid_item", "rubric"),
        ({"rubric": [5]}, "invalid_item", "rubric"),
        ({"rubric": {f"name {n}": 3 for n in range(100)}}, "invalid_item", "rubric"),
        ({"rubric": {"a\x00": 3}}, "bad_text", "rubric.a\x00"),
        ({"mood": 1}, "unknown_field", "mood"),
    ],
)
def test_a_bad_review_is_refused_by_field(fields: dict[str, Any], code: str, field: str) -> None:
    with pytest.raises(check.InvalidItem) as caught:
        sender = check.ItemSender({"org-1": 1}, "org-1")
        check.check(review(**fields), 0, records.REVIEWS, sender, datetime.now(UTC))
    assert (caught.value.code, caught.value.field) == (code, field)


def test_a_rubric_that_holds_something_else_is_told_what_it_must_hold(sender: Sender) -> None:
    answer = sender.post(review(rubric={"tone": 4.5}), REVIEWS)
    assert answer.error["message"] == "rubric must be an object of whole numbers."


def test_a_rubric_of_fifty_names_is_taken(sender: Sender) -> None:
    assert posted(sender, by("rina", 4, rubric={f"name {n}": 1 + n % 5 for n in range(50)})) == ["created"]
