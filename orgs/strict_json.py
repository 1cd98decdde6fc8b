"""One strict reading of JSON, for everybody who is sent some: the lane, webhooks, the API."""

import json
from typing import Any

DEPTH_LIMIT = 32
TOO_DEEP = "too_deep", f"The body is nested more than {DEPTH_LIMIT} deep."


class BadJson(Exception):
    """`code`: not_json, duplicate_key or too_deep; `message` is a sentence about the body."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code)
        self.code = code
        self.message = message


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise BadJson("duplicate_key", "An object of the body has the same key twice.")
    return made


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


# The standard library's decoder, not msgspec's: it lets us see duplicate keys, and a lone surrogate costs one item
# and not the whole body. 5 us an item; storing one costs a hundred times that.
_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)


def parse_json(body: bytes) -> Any:
    """The value of a JSON body in UTF-8, without duplicate keys and at most 32 deep; a byte order mark in front is no
    part of it. Raises BadJson.
    """
    try:
        value = _decoder.decode(body.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise BadJson("not_json", "The body is not UTF-8.") from None
    except RecursionError:
        raise BadJson(*TOO_DEEP) from None
    except ValueError as error:  # also a number of more than 4,300 digits
        where = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise BadJson("not_json", f"The body is not JSON{where}.") from None
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(DEPTH_LIMIT):
        level = [
            child
            for parent in level
            for child in (parent.values() if type(parent) is dict else parent)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return value
    raise BadJson(*TOO_DEEP)
