"""Personal data masked before anything is stored: e-mail, phone, NIK, NPWP, card numbers, tokens.

Every pattern runs in linear time (possessive, anchored at the start of a run) and only where a cheap test found its
sign; what the patterns find is then judged by its check digits or by the numbering plan.
"""

import re
from typing import Any

import phonenumbers
from stdnum import luhn
from stdnum.id import nik, npwp

EMAIL = re.compile(r"(?<![\w.%+'-])[\w.%+'-]++@[\w-]++(?:\.[\w-]++)++")
BEARER = re.compile(r"(?i)(?<![a-z])(bearer)[ \t]++[\w.~+/=-]{16,}+")
JWT = re.compile(r"(?<![\w-])eyJ[\w-]{5,}+\.[\w-]++(?:\.[\w-]++)?+")
ASSIGNED = re.compile(r"(?i)(?<![a-z])(password|passwd|secret|token|api_?key)=[^\s&,;\"']++")
# A UUID, a date and a fraction are kept; a number is digits with at most three separators between them.
NUMBER = re.compile(
    r"(?P<keep>(?<!\w)[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}(?!\w)"
    r"|(?<!\d)[0-3]?\d[-.][01]?\d[-.](?:19|20)\d\d(?!\d)"
    r"|(?<![\w.])0\.\d{1,17}(?!\w|\.\d))"
    "|[(+]{0,2}\\d(?:[ \u00a0.()\u2010-\u2015-]{0,3}\\d){6,}+"
)
DIGITS = re.compile(r"\d++")
SHORTEST, LONGEST = 7, 20  # digits of what is looked for
CARD = range(13, 20)  # digits
REGION = "ID"
JUDGED = 100
# What can be a phone, or is as long as a NIK, an NPWP or a card.
POSSIBLE = re.compile(r"(?:00[1-9]|0[2-9]|62|8)\d{4,15}\Z|\d{15,16}\Z|[2-6]\d{12,18}\Z")

SECRET_WORDS = {"password", "passwd", "passphrase", "pwd", "secret", "token", "authorization", "cookie"}
SECRET_ENDINGS = ("apikey", "accesskey", "privatekey", "secretkey", "credential", "credentials", "password")
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")


def mask(text: str) -> str:
    """`text` with personal data replaced by its kind in brackets, such as [phone]; masking twice changes nothing."""
    if "@" in text:
        text = EMAIL.sub("[email]", text)
    if "eyJ" in text:
        text = JWT.sub("[secret]", text)
    if "earer" in text or "EARER" in text:
        text = BEARER.sub(r"\1 [secret]", text)
    if "=" in text:
        text = ASSIGNED.sub(r"\1=[secret]", text)
    if _has_digits(text):
        text = NUMBER.sub(_Numbers().replace, text)
    return text


def mask_values(value: Any) -> Any:
    """A copy of a JSON value with every string in it masked, and integers that are a phone or a card; keys stay."""
    if isinstance(value, str):
        return mask(value)
    if type(value) is int and value > 10**SHORTEST:
        masked = mask(str(value))
        return value if masked == str(value) else masked
    if isinstance(value, dict):
        return {name: mask_values(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [mask_values(inner) for inner in value]
    return value


def secret_key(name: str) -> bool:
    """Whether a key names a secret (`api_key`, `accessToken`, `password`), not a count such as `tokens_used`."""
    words = [word.lower() for word in WORD.findall(name)]
    return bool(words) and (words[-1] in SECRET_WORDS or "".join(words).endswith(SECRET_ENDINGS))


def _has_digits(text: str) -> bool:
    seen = 0
    for run in DIGITS.finditer(text):
        seen += run.end() - run.start()
        if seen >= SHORTEST:
            return True
    return False


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
        runs = list(DIGITS.finditer(whole))
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
        digits, candidates = "", []
        for last in range(first, len(runs)):
            digits += "".join(str(int(digit)) for digit in runs[last][0][: LONGEST + 1])
            if len(digits) > LONGEST:
                break
            candidates.append((last, digits))
        international = first == 0 and "+" in whole[: runs[0].start()]
        for last, candidate in reversed(candidates):
            if kind := self._kind(candidate, international):
                return last, kind
        return None

    def _kind(self, digits: str, international: bool) -> str | None:
        if len(digits) < SHORTEST or not (international or POSSIBLE.match(digits)):
            return None
        self._left -= 1
        if _is_phone(digits, international):
            return "phone"
        if len(digits) == 16 and nik.is_valid(digits):
            return "nik"
        if len(digits) in (15, 16) and npwp.is_valid(digits):
            return "npwp"
        if len(digits) in CARD and digits[0] in "23456" and luhn.is_valid(digits):
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
