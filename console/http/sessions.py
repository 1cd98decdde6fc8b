"""Sessions in the database, as Django keeps them."""

from django.contrib.sessions.backends import db


class SessionStore(db.SessionStore):
    """Looks only for keys that can exist: a cookie may hold anything, even text that PostgreSQL refuses."""

    def __init__(self, session_key: str | None = None) -> None:
        can_be_one = session_key and session_key.isascii() and session_key.isalnum()
        super().__init__(session_key if can_be_one else None)
