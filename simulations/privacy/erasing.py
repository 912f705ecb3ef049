"""Erasing a person: their account, all they asked and what the provider keeps of it.

It takes as long as their runs take to be ended, and the provider to delete; `carry_on` is called
every minute and goes on wherever it stands, so nothing is forgotten by a restart.
"""

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from accounts.models import ApiToken, User
from simulations import services
from simulations.models import Erasure, Run, Status
from simulations.privacy.pseudonyms import pseudonymise
from simulations.privacy.retention import BATCH, forget_simulations


def request_erasure(user: User) -> Erasure:
    """Locks the person out, stops what they have going on, and erases what can be erased now."""
    with transaction.atomic():
        User.objects.filter(pk=user.pk).update(is_active=False)
        ApiToken.objects.filter(user=user).delete()
        user.agents.update(is_enabled=False, next_run_at=None)
        erasure, _ = Erasure.objects.get_or_create(user=user)
    carry_on_with(erasure)
    erasure.refresh_from_db()
    return erasure


def carry_on() -> None:
    for erasure in Erasure.objects.open().select_related("user"):
        carry_on_with(erasure)


def carry_on_with(erasure: Erasure) -> None:
    """At most one batch of simulations, so that a caller in a hurry is not held up."""
    user = erasure.user
    if user is not None:
        stop_everything(user)
        if not is_busy(user):
            erase_batch(erasure, user)
    elif not erasure.remote_deletions.waiting().exists():
        failed = erasure.remote_deletions.count()
        Erasure.objects.open().filter(pk=erasure.pk).update(
            completed_at=Now(), remote_failed=failed
        )


def stop_everything(user: User) -> None:
    """Also what came in between: a request that was let in before the account was disabled."""
    for simulation in user.simulations.active().filter(stop_reason=""):
        try:
            services.cancel(simulation)
        except services.InvalidState:
            continue  # it has ended since


def is_busy(user: User) -> bool:
    """While a run is going on upstream, its row must stay: it says what is to be ended.

    So must that of a conversation: a call that opens it may be under way, and brings its id.
    """
    unended = Run.objects.to_discard().filter(simulation__owner=user)
    opening = user.simulations.filter(
        status=Status.CANCELLED,
        admitted_at__isnull=False,
        conversation__provider_id="",
        finished_at__gt=Now() - settings.STEP_LEASE,
    )
    return any(rows.exists() for rows in (user.simulations.active(), unended, opening))


def erase_batch(erasure: Erasure, user: User) -> None:
    with transaction.atomic():
        # A page and a worker may both be at it: one at a time, and not after the account is gone.
        done = Erasure.objects.filter(pk=erasure.pk)
        if done.filter(user=user).select_for_update(no_key=True).first() is None:
            return
        rows = list(user.simulations.order_by("pk").values_list("pk", flat=True)[:BATCH])
        forget_simulations(rows, erasure)
        done.update(simulations=F("simulations") + len(rows))
        if len(rows) < BATCH:
            forget_account(user)
            done.update(erased_at=Now())


def forget_account(user: User) -> None:
    user_id = user.pk
    user.agents.all().delete()
    user.conversations.all().delete()
    user.delete()
    pseudonymise(user_id, user.username, user.email)
