"""What is asked of KPIs, for property tests: three weeks up to NOW, and every way to ask for a part of them."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import strategies as st

from runs.rollups import KpiFilters

NOW = datetime(2026, 11, 9, 10, 17, 30, tzinfo=UTC)
FIRST = datetime(2026, 10, 20, tzinfo=UTC)
MOMENTS = st.one_of(
    st.integers(0, 22).map(lambda n: date(2026, 10, 19) + timedelta(days=n)),
    st.integers(0, 21 * 24 * 4).map(lambda n: FIRST + n * timedelta(minutes=15)),
    st.integers(0, 21 * 86400).map(lambda n: FIRST + timedelta(seconds=n)),
)
SOME = st.builds(
    KpiFilters,
    agent=st.sampled_from(("", "", "Bot 1", "Nobody")),
    version=st.sampled_from(("", "", "2.0")),
    channel=st.sampled_from(("", "", "web")),
    input_kind=st.sampled_from(("", "", "faq")),
)
