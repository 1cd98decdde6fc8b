"""What the demo's agents do all day: how often, how well, for how much; and what became of some of them. Plain data."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Flow:
    """One agent of one org, as it is now. Shares are 0..1, `seconds` and `cost` (USD) medians of a run.

    `since`: days for which it has been like this; before that it was `before` (of another version, where that differs).
    `silent_hours`: it has sent nothing for so long.
    """

    org: str
    agent: str
    version: str
    per_day: int = 63
    seconds: float = 38
    cost: float = 0.021
    escalated: float = 0.08
    failed: float = 0.015
    corrected: float = 0.12
    quality: float = 4.3  # of 5
    input_kind: str = "chat"
    since: float = 90
    before: "Flow | None" = None
    silent_hours: float = 0


def _changed(flow: Flow, **was: object) -> Flow:
    """The flow with what it was before."""
    return replace(flow, before=replace(flow, before=None, silent_hours=0, **was))  # type: ignore[arg-type]


# The three orgs whose rooms one can watch, each with its stories.
SLOW = _changed(Flow("kopi-selasar", "Barista Bot", "1.2.2", seconds=92, since=5), seconds=36)
DEAR = _changed(
    Flow("bank-cendana", "Card Helper", "1.8.0", cost=0.094, quality=3.4, since=12), version="1.7.3", cost=0.024,
    quality=4.2,
)  # fmt: skip
BAD_VERSION = _changed(
    Flow("toko-melati", "Order Tracker", "3.1.4",
         failed=0.13, corrected=0.31, quality=3.1, input_kind="order", since=3),
    version="3.1.3", failed=0.012, corrected=0.10, quality=4.4,
)  # fmt: skip
OVER_ESCALATING = _changed(
    Flow("bank-cendana", "Billing Bot", "2.9.1", escalated=0.34, input_kind="ticket", since=8), escalated=0.10
)
SILENT = Flow("klinik-anggrek", "Appointment Bot", "2.4.0", silent_hours=27)

FLOWS = (
    Flow("toko-melati", "Sales Assistant", "4.2.0", per_day=109, cost=0.017),
    BAD_VERSION,
    OVER_ESCALATING,
    DEAR,
    SLOW,
    Flow("kopi-selasar", "Refund Guide", "0.9.5", per_day=38, escalated=0.14, input_kind="ticket"),
    SILENT,
    Flow("klinik-anggrek", "Pharmacy Guide", "1.1.0", per_day=34, input_kind="faq"),
    Flow("hotel-kenanga", "Concierge", "5.0.2", per_day=59, seconds=31),
    Flow("hotel-kenanga", "Booking Bot", "3.3.1", per_day=50, cost=0.028, input_kind="order"),
    Flow("kurir-kilat", "Parcel Tracker", "7.1.0", per_day=134, seconds=19, cost=0.009, input_kind="order"),
    Flow("kurir-kilat", "Claims Bot", "2.0.4", per_day=38, escalated=0.16, input_kind="ticket"),
    Flow("sekolah-bintang", "Enrolment Guide", "1.4.1", per_day=29, input_kind="faq"),
    Flow("asuransi-teduh", "Policy Guide", "2.2.0", per_day=46, seconds=55, cost=0.035),
    Flow("asuransi-teduh", "Claims Intake", "1.9.3", per_day=40, seconds=64, escalated=0.12, input_kind="ticket"),
    Flow("apotek-sehat", "Product Guide", "3.0.0", per_day=55, input_kind="faq"),
    Flow("travel-samudra", "Trip Planner", "4.4.0", per_day=63, seconds=71, cost=0.042),
    Flow("elektronik-jaya", "Warranty Bot", "2.7.2", per_day=50, input_kind="ticket"),
    Flow("elektronik-jaya", "Sales Guide", "6.1.0", per_day=71),
    Flow("busana-lestari", "Style Assistant", "1.6.5", per_day=76, cost=0.026),
    Flow("pasar-segar", "Order Bot", "8.0.1", per_day=118, seconds=24, cost=0.012, input_kind="order"),
    Flow("properti-graha", "Viewing Bot", "1.0.9", per_day=25, seconds=47),
    Flow("telko-nusantara", "Plan Advisor", "3.8.0", per_day=101, escalated=0.11),
    Flow("telko-nusantara", "Outage Bot", "2.1.7", per_day=67, seconds=22, input_kind="ticket"),
)
NEIGHBOURS = {
    "klinik-anggrek": "Klinik Anggrek",
    "hotel-kenanga": "Hotel Kenanga",
    "kurir-kilat": "Kurir Kilat",
    "sekolah-bintang": "Sekolah Bintang",
    "asuransi-teduh": "Asuransi Teduh",
    "apotek-sehat": "Apotek Sehat",
    "travel-samudra": "Travel Samudra",
    "elektronik-jaya": "Elektronik Jaya",
    "busana-lestari": "Busana Lestari",
    "pasar-segar": "Pasar Segar",
    "properti-graha": "Properti Graha",
    "telko-nusantara": "Telko Nusantara",
}
CHANNELS = ("WhatsApp", "WhatsApp", "WhatsApp", "Instagram", "Web chat")
