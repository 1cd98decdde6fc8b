from django.contrib import admin
from django.urls import include, path

from console.views.invitation import invitation

urlpatterns = [
    path("admin/", admin.site.urls),
    path("accounts/", include("orgs.urls")),
    path("invite/<str:uid>/<str:token>", invitation, name="invitation"),
]
