"""Personal data masked before anything is stored: e-mail, phone, NIK, NPWP, card numbers, passwords, tokens, keys.

Every pattern runs in linear time (possessive, anchored at the start of a run) and only where a cheap test found its
sign; what the patterns find is then judged by its check digits or by the numbering plan.
"""

import re
import string
from typing import Any

import phonenumbers
from stdnum import luhn
from stdnum.id import nik, npwp

HIDDEN_MARKS = "\u00ad\u200b-\u200f\u2060-\u2064\ufeff\ufffd"  # drawn as nothing, or as something lost
OF_MAIL, OF_HOST = rf"[\w.%+'{HIDDEN_MARKS}-]", rf"[\w{HIDDEN_MARKS}-]"
ADDRESS = rf"@{OF_HOST}++(?:\.{OF_HOST}++)++"
EMAIL = re.compile(rf"(?<!{OF_MAIL}){OF_MAIL}++{ADDRESS}(?:{OF_MAIL}*+{ADDRESS})*+")  # one right behind another too
BEARER = re.compile(r"(?i)(?<![a-z])(bearer)[ \t]++[\w.~+/=-]{16,}+")
JWT = re.compile(r"(?<![\w-])eyJ[\w-]{5,}+\.[\w-]++(?:\.[\w-]++)?+")
OUR_KEY = re.compile(r"(?<![A-Za-z0-9])(?:[A-Za-z0-9]{8}|[0-9a-f]{16})\.[\w-]{43}(?![\w-])")  # also a webhook's token
# A word that names a secret, then = or :, then the secret. After "token:" only what looks like one: parsers say
# "unexpected token: name". A PIN is digits.
REST = r"[^\s&,;\"'}]*+"  # what is joined to a quoted part belongs to it, as in a shell
QUOTED = rf"(?:\"[^\"\n]*+\"?|'[^'\n]*+'?){REST}"
NAMED = re.compile(
    r"(?i)((?:password|passwd|passphrase|passcode|pwd|sandi|(?:api|access|private|secret)[ _-]?key|secret)"
    rf"[\"']?[ \t]*+[:=][ \t]*+)(?:{QUOTED}|[^\s&,;\"'}}]++)"
)
TOKEN = re.compile(
    r"(?i)(token[\"']?[ \t]*+)(?:(=[ \t]*+)(?:" + QUOTED + r"|[^\s&,;\"'}]++)"
    r"|(:[ \t]*+)[\"']?(?=[^\s&,;\"'}]*\d|[^\s&,;\"'}]{16})[^\s&,;\"'}]++[\"']?" + REST + ")"
)
LOGIN = re.compile(r"(://[^\s/@:]*+:)[^\s/@]++(?=@)")  # an address with its password: postgres://user:password@host
HEADER = re.compile(r"(?i)((?:authorization|cookie)[\"']?[ \t]*+[:=][ \t]*+)(?!bearer)[^\r\n]++")
PIN = re.compile(r"(?i)(?<![a-z])((?:pin|otp|cvv)[\"']?[ \t]*+[:=][ \t]*+[\"']?)\d{3,8}+(?!\w)")
NAMES = ("passw", "passphrase", "passcode", "pwd", "sandi", "secret", "key")
# A UUID, a date and a fraction are kept; a number is digits with at most three separators between them.
NUMBER = re.compile(
    r"(?P<keep>(?<!\w)[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}(?!\w)"
    r"|(?<!\d)[0-3]?\d[-./][01]?\d[-./](?:19|20)\d\d(?!\d)"
    r"|(?<!\d)(?:19|20)\d\d[-/][01]?\d[-/][0-3]?\d(?!\d)"
    r"|(?<![\w.])0\.\d{1,17}(?!\w|\.\d))"
    f"|[(+]{{0,2}}\\d(?:[ \u00a0.()/_\r\n\t\u2010-\u2015{HIDDEN_MARKS}-]{{0,3}}\\d){{6,}}+"
)
# The runs of a number; what nobody sees does not part them.
RUN = re.compile(f"\\d++(?:[{HIDDEN_MARKS}]{{1,3}}+\\d++)*+")
MARK = re.compile(f"[{HIDDEN_MARKS}]")
DIGITS = re.compile(r"\d++")
SHORTEST, LONGEST = 7, 20  # digits of what is looked for
UNUSUAL = re.compile(r"[/_\r\n\t]")  # between the digits of a card or an NPWP: then they stand in their usual groups
USUAL = {(4, 4, 4, 4), (4, 6, 5), (4, 4, 4, 4, 3), (2, 3, 3, 1, 3, 3)}
LEAST, MOST = 10 ** (SHORTEST - 1), 10**LONGEST  # of a number that is looked at
CARD = range(13, 20)  # digits
REGION = "ID"
REPLACED = "[secret]"
KINDS = ("email", "phone", "nik", "npwp", "card", "number", "secret")
MARGIN = 400  # characters beyond a cut that are looked at
NUMERIC = "0123456789 +-.()/_\r\n\t"
JUDGED = 100
# What can be a phone, or is as long as a NIK, an NPWP or a card.
POSSIBLE = re.compile(r"(?:00[1-9]|0[2-9]|62|8)\d{4,15}\Z|\d{15,16}\Z|[2-6]\d{12,18}\Z")

# What no pattern finds anything in, but for a bearer's token: order numbers, names, tags.
HARMLESS = re.compile(r"[A-Za-z _-]*+(?:\d[A-Za-z _-]*+){0,6}+")
# Short texts in which nothing was found: names and versions of agents come again and again, and to find nothing in
# 2026.11.3 costs 10 us.
REMEMBERED, UNTOUCHED = 64, 5000  # characters of one, and how many
_untouched: set[str] = set()

SECRET_WORDS = {"password", "passwd", "passphrase", "pwd", "secret", "token", "authorization", "cookie"}
SECRET_ENDINGS = ("apikey", "accesskey", "privatekey", "secretkey", "credential", "credentials", "password")
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")


def mask(text: str) -> str:
    """`text` with personal data replaced by its kind in brackets, such as [phone]; masking twice changes nothing."""
    if text in _untouched:
        return text
    masked = _mask(text)
    if masked == text and len(text) <= REMEMBERED:
        if len(_untouched) >= UNTOUCHED:
            _untouched.clear()
        _untouched.add(text)
    return masked


def _mask(text: str) -> str:
    bearer = "earer" in text or "EARER" in text
    if not bearer and (HARMLESS.fullmatch(text) or text.isalpha()):
        return text
    if "://" in text:
        text = LOGIN.sub(r"\1[secret]", text)
    if "@" in text:
        text = EMAIL.sub("[email]", text)
    if "eyJ" in text:
        text = JWT.sub("[secret]", text)
    if bearer:
        text = BEARER.sub(r"\1 [secret]", text)
    if "." in text and len(text) > 51:
        text = OUR_KEY.sub("[secret]", text)
    if "=" in text or ":" in text:
        text = _without_pairs(text)
    if _has_digits(text):
        text = NUMBER.sub(_Numbers().replace, text)
    return text


def _without_pairs(text: str) -> str:
    lowered = text.lower()  # a search for plain words is a hundred times faster than one that ignores case
    if any(name in lowered for name in NAMES):
        text = NAMED.sub(r"\1[secret]", text)
    if "authorization" in lowered or "cookie" in lowered:
        text = HEADER.sub(r"\1[secret]", text)
    if "token" in lowered:
        text = TOKEN.sub(lambda found: f"{found[1]}{found[2] or found[3]}[secret]", text)
    if "pin" in lowered or "otp" in lowered or "cvv" in lowered:
        text = PIN.sub(r"\1[secret]", text)
    return text


def mask_cut(text: str, longest: int) -> str:
    """`text` masked and cut to `longest` characters; no half of a number or an address is left where it was cut."""
    if len(text) <= longest + MARGIN:
        return mask(text)[:longest]
    text = text[: longest + MARGIN]
    end = max(text.rfind(sign) for sign in " ,;\n")
    masked = mask(text[:end] if end > longest else text)
    whole = len(masked) >= longest + 4 * LONGEST  # what the end of `text` cut in two lies beyond what is kept
    return masked[:longest] if whole else masked[:longest].rstrip(NUMERIC)


def masked_kinds(before: Any, after: Any) -> set[str]:
    """What was masked in a JSON value: kinds such as `phone`, `secret`."""
    if before == after:
        return set()
    return {kind for kind in KINDS if repr(after).count(f"[{kind}]") > repr(before).count(f"[{kind}]")}


def mask_values(value: Any) -> Any:
    """A copy of a JSON value with every string in it masked, and whole numbers that are a phone or a card.

    A value under a key that names a secret is a secret, whatever it is.
    """
    if isinstance(value, str):
        return mask(value)
    if type(value) in (int, float) and LEAST <= value < MOST and value == int(value):
        masked = mask(str(int(value)))
        return value if masked == str(int(value)) else masked
    if isinstance(value, dict):
        return {
            mask(name): REPLACED if not isinstance(inner, bool | None) and secret_key(name) else mask_values(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [mask_values(inner) for inner in value]
    return value


def secret_key(name: str) -> bool:
    """Whether a key names a secret (`api_key`, `accessToken`, `password`), not a count such as `tokens_used`."""
    words = [word.lower() for word in WORD.findall(name)]
    return bool(words) and (words[-1] in SECRET_WORDS or "".join(words).endswith(SECRET_ENDINGS))


def _has_digits(text: str) -> bool:
    if len(text) < SHORTEST:
        return False
    if text.isascii():  # most is, and counting takes a tenth of the time
        return sum(map(text.count, string.digits)) >= SHORTEST
    return sum(len(run) for run in DIGITS.findall(text)) >= SHORTEST


class _Numbers:
    """The numbers of one text. Runs of digits beside each other may be one number or several: the longest is masked.

    Judging costs some 40 us: after JUDGED of them whatever is left is masked unjudged, so a text costs at most 4 ms.
    """

    def __init__(self) -> None:
        self._left = JUDGED

    def replace(self, match: re.Match[str]) -> str:
        """The text of one match of NUMBER, masked."""
        whole = match[0]
        if match["keep"]:
            return whole
        runs = list(RUN.finditer(whole))
        masked, done, first = "", 0, 0
        while first < len(runs):
            if self._left <= 0:
                return masked + whole[done : runs[first].start()] + "[number]"
            found = self._longest(whole, runs, first)
            if found is None:
                first += 1
                continue
            last, kind = found
            start = 0 if first == 0 else runs[first].start()
            masked += whole[done:start] + f"[{kind}]"
            done, first = runs[last].end(), last + 1
        return masked + whole[done:]

    def _longest(self, whole: str, runs: list[re.Match[str]], first: int) -> tuple[int, str] | None:
        """The index of the last run of the longest number that starts with run `first`, and its kind."""
        digits, groups, candidates = "", [], []
        for last in range(first, len(runs)):
            run = MARK.sub("", runs[last][0][: 4 * LONGEST])
            digits += "".join(str(int(digit)) for digit in run[: LONGEST + 1])
            if len(digits) > LONGEST:
                break
            groups.append(len(run))
            candidates.append((last, digits, tuple(groups)))
        international = first == 0 and "+" in whole[: runs[0].start()]
        for last, candidate, sizes in reversed(candidates):
            between = whole[runs[first].start() : runs[last].start()]
            grouped = sizes in USUAL or not UNUSUAL.search(between)
            if kind := self._kind(candidate, international, grouped):
                return last, kind
        return None

    def _kind(self, digits: str, international: bool, grouped: bool) -> str | None:
        if len(digits) < SHORTEST or not (international or POSSIBLE.match(digits)):
            return None
        self._left -= 1
        if _is_phone(digits, international):
            return "phone"
        if len(digits) == 16 and nik.is_valid(digits):
            return "nik"
        if grouped and len(digits) in (15, 16) and npwp.is_valid(digits):
            return "npwp"
        if grouped and len(digits) in CARD and digits[0] in "23456" and luhn.is_valid(digits):
            return "card"
        return None


def _is_phone(digits: str, international: bool) -> bool:
    if international:
        return _valid("+" + digits, strict=False)
    if digits.startswith("00"):
        return _valid("+" + digits[2:], strict=True)
    if digits.startswith("62"):
        return _valid("+" + digits, strict=True)
    if digits.startswith("0"):
        return _valid(digits, strict=True)
    return digits.startswith("8") and len(digits) >= 9 and _valid("0" + digits, strict=True)


def _valid(number: str, *, strict: bool) -> bool:
    try:
        parsed = phonenumbers.parse(number, REGION)
    except phonenumbers.NumberParseException:
        return False
    return phonenumbers.is_valid_number(parsed) if strict else phonenumbers.is_possible_number(parsed)
