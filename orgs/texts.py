"""What a text may hold and how long it may be, whoever sends it."""

import re

BAD_TEXT = re.compile("[\x00\ud800-\udfff]")  # PostgreSQL keeps no NUL, UTF-8 no half of a surrogate pair
ID_LENGTH = 128  # characters of a sender's own id of an item
NAME_LENGTH = 200  # of what identifies or names anything, and of every text that says nothing else
TEXT_LENGTH = 2000  # of prose and links


def answerable(name: str, longest: int = 100) -> str:
    """A name that a sender chose, fit to be repeated in an answer: cut, and without what UTF-8 cannot say."""
    return name[:longest].encode(errors="replace").decode()
