"""Erasing a person in the admin: a page that asks twice, and the receipts."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.views.decorators.http import require_http_methods

from accounts.models import User
from config.admin import ReadOnly
from simulations.models import RemoteDeletion
from simulations.privacy.erasing import request_erasure


class RemoteDeletionInline(ReadOnly, admin.TabularInline):
    model = RemoteDeletion
    verbose_name_plural = "Still to be deleted at the provider"
    fields = ["kind", "protocol", "due_at", "attempts", "error"]


class ErasureAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["id", "requested_at", "erased_at", "completed_at", "simulations"]
    list_filter = ["requested_at"]
    fields = [*list_display, "remote_deleted", "remote_failed"]
    inlines = [RemoteDeletionInline]


class ErasureForm(forms.Form):
    """The name, typed: a click alone must not erase a person."""

    username = forms.CharField(
        label="The username, to confirm", widget=forms.TextInput(attrs={"autocomplete": "off"})
    )

    def __init__(self, user: User, by: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user, self.by = user, by

    def clean_username(self) -> str:
        username = self.cleaned_data["username"]
        if username != self.user.get_username():
            raise forms.ValidationError("That is not this user's name. Type it as it is above.")
        if self.user == self.by:
            raise forms.ValidationError("That is you. Ask another administrator to do it.")
        return username


@admin.site.admin_view
@require_http_methods(["GET", "HEAD", "POST"])
def erase_user(request: HttpRequest, pk: int) -> HttpResponse:
    user = get_object_or_404(User, pk=pk)
    is_sent = request.method == "POST"
    form = ErasureForm(user, request.user, request.POST if is_sent else None)
    if is_sent and form.is_valid():
        erasure = request_erasure(user)
        messages.success(request, "The erasure has begun. This is its receipt; it names nobody.")
        return redirect("admin:simulations_erasure_change", erasure.pk)
    context = admin.site.each_context(request) | {
        "title": f"Erase {user.get_username()}",
        "opts": User._meta,
        "erased": user,
        "form": form,
        "counts": {
            "questions": user.simulations.count(),
            "conversations": user.conversations.count(),
            "agents": user.agents.count(),
        },
    }
    status = 400 if form.errors else 200
    return TemplateResponse(request, "admin/erase_user.html", context, status=status)
