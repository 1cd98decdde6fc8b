"""Blind intervals: when we could not see is a fact, kept in one table and used by everything.

`blind_spans` says when that was for some orgs; `blind_minutes` and its neighbours count with such spans.
"""

from alerts.blind.downs import GRACE as GRACE
from alerts.blind.downs import NO_DOWNTIMES as NO_DOWNTIMES
from alerts.blind.downs import Downtimes as Downtimes
from alerts.blind.heartbeat import BEAT_EVERY as BEAT_EVERY
from alerts.blind.heartbeat import beat as beat
from alerts.blind.heartbeat import notice_down as notice_down
from alerts.blind.intervals import BlindStretch as BlindStretch
from alerts.blind.intervals import blind_spans as blind_spans
from alerts.blind.intervals import blind_stretches as blind_stretches
from alerts.blind.silences import keep_silences as keep_silences
from alerts.blind.spans import BlindSpan as BlindSpan
from alerts.blind.spans import blind_minutes as blind_minutes
from alerts.blind.spans import cut_spans as cut_spans
from alerts.blind.spans import merged_spans as merged_spans
