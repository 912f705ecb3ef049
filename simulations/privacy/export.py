"""All that is kept of a person, as a zip of JSON files that is written while it is read."""

import io
import zipfile
from collections.abc import Iterator
from typing import Any

from django.contrib.auth.decorators import login_required
from django.forms import model_to_dict
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from rest_framework.renderers import JSONRenderer

from accounts.audit import AuditEntry
from accounts.models import ApiToken, FailedSignIn, User
from simulations.documents.manifest import build_manifest
from simulations.models import Feedback

ACCOUNT = ["username", "first_name", "last_name", "email", "role", "modules", "date_joined"]
ACCOUNT += ["last_login", "monthly_simulation_limit", "second_factor_since"]
FAILED_SIGN_IN = ["attempt_time", "ip_address", "user_agent", "failures_since_start"]
# What they changed; signing in over the API makes a token, and so is among it.
AUDIT_ENTRY = ["at", "action", "noun", "object_id", "object_name", "request_id"]

Document = tuple[str, Any]


@require_safe
@login_required
@never_cache
def account_export(request: HttpRequest) -> StreamingHttpResponse:
    """What people may see of their own simulations elsewhere is what they get here."""
    name = f"sitrep-{timezone.now():%Y-%m-%d}.zip"
    response = StreamingHttpResponse(
        zip_of(documents_of(request.user)), content_type="application/zip"
    )
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def documents_of(user: User) -> Iterator[Document]:
    """Names and contents, one simulation at a time: there may be thousands."""
    yield "account.json", {name: getattr(user, name) for name in ACCOUNT}
    tokens = ApiToken.objects.filter(user=user)
    yield "tokens.json", list(tokens.values("name", "created", "expiry", "last_used_at"))
    failed = FailedSignIn.objects.filter(username=user.get_username())
    yield "failed-sign-ins.json", list(failed.values(*FAILED_SIGN_IN))
    done = AuditEntry.objects.filter(actor_id=user.pk).order_by("pk")
    # Without before and after: of articles those are texts that need a module.
    yield "audit-log.json", list(done.values(*AUDIT_ENTRY))
    yield "agents.json", [model_to_dict(agent) for agent in user.agents.all()]
    for pk in user.simulations.order_by("created_at", "pk").values_list("pk", flat=True):
        simulation = user.simulations.select_related("owner", "conversation").filter(pk=pk).first()
        if simulation is None:
            continue  # forgotten since
        manifest = build_manifest(simulation, user)
        said = Feedback.objects.filter(simulation=pk).values("is_useful", "reason", "given_at")
        yield f"simulations/{pk}.json", manifest | {"feedback": said.first()}


class Pipe(io.RawIOBase):
    """An unseekable sink for ZipFile: what was written is taken away in pieces."""

    def __init__(self) -> None:
        self.written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.written += data
        return len(data)

    def take(self) -> bytes:
        taken, self.written = bytes(self.written), bytearray()
        return taken


def zip_of(documents: Iterator[Document]) -> Iterator[bytes]:
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in documents:
            text = JSONRenderer().render(content, "application/json; indent=2")
            archive.writestr(name, text)
            yield pipe.take()
    yield pipe.take()
