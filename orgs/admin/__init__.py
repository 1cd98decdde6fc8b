"""The Django admin, where a specialist sets up orgs; every page runs in the scope of a specialist: all orgs."""

from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.contrib.auth.models import Group
from django.utils.translation import gettext_lazy as _
from rest_framework_api_key.models import APIKey

from orgs.admin import organisations, people, sources  # noqa: F401
from orgs.admin.naming import find_options

admin.site.site_title = _("Live Monitoring")
admin.site.site_header = _("Live Monitoring")
admin.site.index_title = _("Set-up")
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

admin.site.autocomplete_view = find_options  # type: ignore[method-assign]

# What the libraries bring and nobody here uses: keys without a source, groups, a second list of e-mail addresses.
for unused in (APIKey, Group, EmailAddress, Authenticator):
    if admin.site.is_registered(unused):
        admin.site.unregister(unused)
