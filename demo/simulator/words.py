"""Invented people and what they say. Nobody here exists; no phone number, address or order of anybody."""

from random import Random

TITLES = ("Ibu", "Ibu", "Bapak", "Bapak", "Kak", "Ms", "Mr")
GIVEN_NAMES = (
    "Sari", "Ratna", "Dewi", "Wulan", "Ayu", "Putri", "Lestari", "Indah", "Budi", "Agus", "Joko", "Bambang",
    "Rizky", "Hendra", "Fajar", "Yusuf", "Maria", "Grace", "Daniel", "Kevin", "Nadia", "Tania", "Arif", "Eka",
)  # fmt: skip
INITIALS = "ABDEFHIKLMNPRSTW"
CHANNELS = ("WhatsApp", "WhatsApp", "WhatsApp", "Instagram", "Web chat")
INVENTED_AGENTS = ("Order Helper", "Billing Helper", "Delivery Helper", "Returns Helper", "Product Guide")

LINES: dict[str, tuple[str, ...]] = {
    "low_confidence": (
        "Kalau beli dua, ongkirnya digabung nggak ya?",
        "Bisa tukar ukuran tapi kotaknya sudah saya buang?",
        "Promo kemarin masih bisa dipakai untuk pesanan hari ini?",
        "Is the warranty still valid if I bought it as a gift?",
        "Can I pay half now and half when it arrives?",
        "Garansinya berlaku juga untuk baterai?",
    ),
    "message_cap": (
        "Saya sudah jelaskan tiga kali, bukan itu pertanyaannya.",
        "Dari tadi jawabannya sama terus.",
        "You keep asking me the same thing.",
        "Tolong baca lagi dari atas ya, saya capek mengulang.",
        "That is still not what I asked.",
    ),
    "unexpected_handoff": (
        "Saya mau bicara dengan orang, bukan robot.",
        "Bisa disambungkan ke admin?",
        "Please let me talk to a real person.",
        "Ada yang bisa bantu saya sekarang?",
        "Katanya disambungkan, kok masih diam?",
    ),
    "agent_error": (
        "Halo? Kok tidak dibalas?",
        "Pesanan saya jadi dikirim atau tidak?",
        "Pembayaran saya sudah masuk belum ya?",
        "Hello? Are you still there?",
        "Saya tunggu dari tadi, tolong dicek.",
        "My refund still has not arrived.",
    ),
    "help_requested": (
        "Saya minta uang kembali hari ini juga.",
        "Tagihan saya dua kali, tolong diperbaiki.",
        "Can you make an exception for my order?",
        "Alamatnya sudah terlanjur salah, bisa dialihkan?",
    ),
}
HANDOFF_REASONS = ("customer_asked", "low_confidence", "policy", "agent_gave_up")
ERRORS = (
    ("UpstreamTimeout", "The language model did not answer within 30 seconds."),
    ("ToolCallFailed", "The order lookup answered with status 502."),
    ("EmptyReply", "The reply was empty after two attempts."),
    ("RateLimited", "The language model refused the request: too many requests."),
)


def room_label(rng: Random) -> str:
    """How the chat product would title a customer's room: `Ibu Sari H.` or `Pelanggan 88213`."""
    if rng.random() < 0.3:
        return f"Pelanggan {rng.randint(80_000, 99_999)}"
    return f"{rng.choice(TITLES)} {rng.choice(GIVEN_NAMES)} {rng.choice(INITIALS)}."
