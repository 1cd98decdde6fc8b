"""What a run and a review must hold beyond their types. Pure."""

import re
from decimal import Decimal

from console.ingest.check import COUNT, ItemKind
from console.ingest.fields import INTEGER, InvalidItem
from runs.items import ReviewItem, RunItem
from runs.merge import exact_cost

DIGITS = re.compile(r"-?\d{1,30}(?:\.\d{1,30})?")
DOLLARS = 10**7  # what a run may cost lies below; it is kept with five places
SCORES = range(1, 6)
NAMES_IN_RUBRIC = 50


def check_run(item: RunItem) -> None:
    """Ranges, and an end that lies after the start of the same post. Raises InvalidItem."""
    for name in ("tokens_input", "tokens_output"):
        _check_count(name, getattr(item, name), INTEGER)
    for name in ("message_count", "message_cap"):
        _check_count(name, getattr(item, name), COUNT)
    if item.sla_target_seconds is not None and not 1 <= item.sla_target_seconds < COUNT:
        _refuse("sla_target_seconds", f"must be a whole number from 1 to {COUNT - 1}.")
    if item.confidence is not None and not 0 <= item.confidence <= 1:
        _refuse("confidence", "must be between 0 and 1.")
    if item.started_at is not None and item.ended_at is not None and item.ended_at < item.started_at:
        _refuse("ended_at", "lies before started_at.")
    if item.cost_usd is not None:
        item.cost_usd = _cost(item.cost_usd)


def _check_count(name: str, value: int | None, limit: int) -> None:
    if value is not None and not 0 <= value < limit:
        _refuse(name, f"must be a whole number from 0 to {limit - 1}.")


def _cost(sent: float | str) -> float | str:
    """A cost that can be kept."""
    if isinstance(sent, str) and not DIGITS.fullmatch(sent):
        _refuse("cost_usd", "must be a number, or its digits as text, such as 0.0342.")
    cost = exact_cost(sent) if abs(Decimal(str(sent))) < DOLLARS else None  # what is longer cannot be rounded
    if cost is None or not 0 <= cost < DOLLARS:
        _refuse("cost_usd", f"must be from 0 to below {DOLLARS} USD.")
    return sent


def check_review(item: ReviewItem) -> None:
    """Scores, and something by which the review is known. Raises InvalidItem."""
    if item.quality_score not in SCORES:
        _refuse("quality_score", "must be a whole number from 1 to 5.")
    rubric = item.rubric or {}
    if len(rubric) > NAMES_IN_RUBRIC:
        _refuse("rubric", f"has more than {NAMES_IN_RUBRIC} names.")
    for name, score in rubric.items():
        if score not in SCORES:
            _refuse(f"rubric.{name[:100]}", "must be a whole number from 1 to 5.")
    if not item.reviewer and not item.review_id:
        raise InvalidItem("missing_field", "A review without a reviewer needs review_id.", "review_id")


def _refuse(name: str, message: str) -> None:
    raise InvalidItem("invalid_item", f"{name} {message}", name)


RUNS = ItemKind(RunItem, "run_id", "started_at", check_run, record=True, hashed=False, times=("started_at", "ended_at"))
REVIEWS = ItemKind(ReviewItem, "review_id", "", check_review, record=True)
