"""Log-in by invitation only."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class AccountAdapter(DefaultAccountAdapter):
    """People come by invitation; nobody signs up."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False
