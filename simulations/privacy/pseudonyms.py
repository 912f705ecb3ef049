"""What the logs go on saying of an erased person: that it was one and the same, no longer who.

Entries stay, with what was done, when, and by which user's number. Names and addresses go, and what
their tokens and agents were called and asked.
"""

from collections.abc import Callable

from axes.models import AccessAttempt
from django.contrib.admin.models import LogEntry
from django.db.models import Q, QuerySet

from accounts.audit import AuditEntry
from accounts.models import ApiToken, User
from simulations.models import Agent

BATCH = 500
USER, TOKEN, AGENT = (model._meta.verbose_name for model in (User, ApiToken, Agent))
# Of each kind of entry the fields that say who somebody is, or have words of theirs.
PERSONAL = {
    USER: {"username", "first_name", "last_name", "email"},
    TOKEN: {"user", "name"},
    AGENT: {"owner", "name", "query"},
}


def pseudonymise(user_id: int, username: str, email: str) -> None:
    """To be called when all of theirs is deleted: the entries of that name them too."""
    pseudonym = f"erased user #{user_id}"  # nobody's name: those have no blank and no #
    names = names_of(user_id, username)
    addresses = ever(user_id, "email", email)
    owned = naming(AGENT, "owner", names)
    agents = agents_gone(owned)

    def hide(entry: AuditEntry) -> None:
        entry.object_name = pseudonym if entry.noun == USER else f"{entry.noun} of {pseudonym}"
        for field in PERSONAL[entry.noun] & entry.changes.keys():
            entry.changes[field] = [value and pseudonym for value in entry.changes[field]]

    def rename_owner(entry: AuditEntry) -> None:
        pair = entry.changes["owner"]
        entry.changes["owner"] = [pseudonym if value in names else value for value in pair]

    AuditEntry.objects.filter(actor_id=user_id).unguarded().update(actor=pseudonym)
    rewrite(entries_about(user_id, names, agents), hide)
    rewrite(owned.exclude(object_id__in=agents), rename_owner)
    rename_in_admin_log(user_id, names, agents, pseudonym)
    for typed in (names | addresses) - {""}:
        AccessAttempt.objects.filter(username__iexact=typed).delete()


def names_of(user_id: int, username: str) -> set[str]:
    """All they ever had, but those that are somebody else's by now."""
    names = ever(user_id, "username", username)
    others = User.objects.exclude(pk=user_id).filter(username__in=names)
    return names - set(others.values_list("username", flat=True))


def ever(user_id: int, field: str, now: str) -> set[str]:
    """What a field of theirs is and was, as far as the log knows."""
    changed = AuditEntry.objects.filter(noun=USER, object_id=str(user_id), changes__has_key=field)
    pairs = changed.values_list(f"changes__{field}", flat=True)
    return {now} | {value for pair in pairs for value in pair if value}


def naming(noun: str, field: str, names: set[str]) -> QuerySet[AuditEntry]:
    """Entries whose field was or became one of the names."""
    was, became = ({f"changes__{field}__{place}__in": names} for place in (0, 1))
    return AuditEntry.objects.filter(Q(**was) | Q(**became), noun=noun)


def agents_gone(owned: QuerySet[AuditEntry]) -> set[str]:
    """Of all they ever owned; the others were handed over, and are somebody else's."""
    agents = set(owned.values_list("object_id", flat=True))
    return agents - set(map(str, Agent.objects.filter(pk__in=agents).values_list("pk", flat=True)))


def entries_about(user_id: int, names: set[str], agents: set[str]) -> QuerySet[AuditEntry]:
    made = AuditEntry.objects.filter(noun=TOKEN, action=AuditEntry.Action.CREATED, actor_id=user_id)
    tokens = (made | naming(TOKEN, "user", names)).values("object_id")
    return AuditEntry.objects.filter(
        Q(noun=USER, object_id=str(user_id))
        | Q(noun=TOKEN, object_id__in=tokens)
        | Q(noun=AGENT, object_id__in=agents)
    )


def rewrite(entries: QuerySet[AuditEntry], change: Callable[[AuditEntry], None]) -> None:
    pks = list(entries.values_list("pk", flat=True))
    for start in range(0, len(pks), BATCH):
        batch = list(AuditEntry.objects.filter(pk__in=pks[start : start + BATCH]))
        for entry in batch:
            change(entry)
        AuditEntry.objects.all().unguarded().bulk_update(batch, ["object_name", "changes"])


def rename_in_admin_log(user_id: int, names: set[str], agents: set[str], pseudonym: str) -> None:
    theirs = Q(content_type__model="user", object_id=str(user_id))
    for name in names:  # failed sign-ins and tokens
        theirs |= Q(object_repr__startswith=f"{name} from ") | Q(
            object_repr__endswith=f" of {name}"
        )
    theirs &= Q(content_type__app_label="accounts")
    theirs |= Q(
        content_type__app_label="simulations", content_type__model="agent", object_id__in=agents
    )
    LogEntry.objects.filter(theirs).update(object_repr=pseudonym, change_message="")
