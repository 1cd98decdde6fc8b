"""What every view of the API shares: its caller's scope."""

from typing import Any

from django_scopes import scope
from rest_framework.request import Request
from rest_framework.views import APIView

from orgs.auth import caller_orgs


class ScopedAPIView(APIView):
    """A view of the API that runs, and renders, inside its caller's scope. `self.org_ids`: None = all."""

    org_ids: list[int] | None = []

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self.org_ids = caller_orgs(request.user)
        entered = scope(org=self.org_ids)
        entered.__enter__()
        request._request._scope_of_caller = entered  # type: ignore[attr-defined]

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        entered = getattr(getattr(request, "_request", request), "_scope_of_caller", None)
        if entered is not None:
            response.render()
            entered.__exit__(None, None, None)
        return response
