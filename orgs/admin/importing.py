"""The pages of the CSV import: file, preview, confirmation. The same `imports.run` as in the shell."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from orgs import imports

SHOWN = 300  # lines of a preview; refused ones come first


class FileForm(forms.Form):
    file = forms.FileField(label=gettext_lazy("CSV file"), allow_empty_file=True)


def import_page(model_admin: Any, request: HttpRequest) -> HttpResponse:
    """GET: the form. POST with a file: the preview. POST with the previewed text: write it, all or nothing."""
    form = FileForm()
    context: dict[str, Any] = {"title": _("Import assignments"), "columns": imports.COLUMNS}
    if request.method == "POST":
        try:
            if "content" in request.POST:
                return _confirm(model_admin, request, context)
            form = FileForm(request.POST, request.FILES)
            if form.is_valid():
                content = form.cleaned_data["file"].read(imports.MOST_BYTES + 1)
                return _preview(model_admin, request, context, content)
        except imports.Unreadable as error:
            form.add_error(None, str(error)) if form.is_bound else messages.error(request, str(error))
    return model_admin.page(request, "admin/orgs/import.html", form=form, **context)


def _preview(model_admin: Any, request: HttpRequest, context: dict[str, Any], content: bytes) -> HttpResponse:
    result = imports.run(content, dry_run=True)
    first = [imports.REFUSED, imports.CHANGED, imports.ADDED, imports.UNCHANGED]
    lines = sorted(result.lines, key=lambda line: first.index(line.outcome))
    return model_admin.page(
        request,
        "admin/orgs/import_preview.html",
        result=result,
        lines=lines[:SHOWN],
        hidden=len(lines[SHOWN:]),
        content=content.decode("utf-8-sig"),
        **context,
    )


def _confirm(model_admin: Any, request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    content = request.POST["content"].encode()
    if imports.run(content, dry_run=True).digest != request.POST.get("digest"):
        messages.warning(request, _("Something changed since the preview: look at it again. Nothing was written."))
        return _preview(model_admin, request, context, content)
    result = imports.run(content, dry_run=False)
    if result.refused:
        return _preview(model_admin, request, context, content)
    messages.success(request, _("Imported: %(summary)s") % {"summary": result.summary()})
    return HttpResponseRedirect(reverse("admin:orgs_assignment_changelist"))
