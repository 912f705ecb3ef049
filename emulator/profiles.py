"""How a server deviates from OpenAI's own: seen in independent Assistants servers."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Profile:
    name: str
    bare_ids: bool = False
    """Ids are plain UUIDs, without `run_`, `resp_`, …"""
    iso_times: bool = False
    """Times are ISO strings instead of Unix seconds."""
    hides_usage: bool = False
    null_annotations: bool = False
    plain_text: bool = False
    """A message's `text` is a string, unless the answer carries a citation mark: then it is the
    usual object, so that `null_annotations` shows as well."""
    ignores_run_filter: bool = False
    """`run_id` does not filter the list of messages."""
    user_messages_first: bool = False
    """The newest-first list of messages starts with the user's."""
    cancels_only_queued: bool = False
    finishes_cancelled: bool = False
    """A run whose cancellation was accepted completes all the same."""
    unlocked_threads: bool = False
    """A thread takes messages and runs while one of its runs is active."""

    def new_id(self, prefix: str) -> str:
        return str(uuid.uuid4()) if self.bare_ids else f"{prefix}_{uuid.uuid4().hex}"

    def time(self, seconds: float | None) -> int | str | None:
        if seconds is None:
            return None
        return datetime.fromtimestamp(seconds, UTC).isoformat() if self.iso_times else int(seconds)


OPENAI = Profile("openai")
INDEPENDENT = Profile(
    "independent",
    bare_ids=True,
    iso_times=True,
    hides_usage=True,
    null_annotations=True,
    plain_text=True,
    ignores_run_filter=True,
    user_messages_first=True,
    cancels_only_queued=True,
    finishes_cancelled=True,
    unlocked_threads=True,
)
PROFILES = {profile.name: profile for profile in (OPENAI, INDEPENDENT)}
