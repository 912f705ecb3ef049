"""What a handler gets: one request, read and dated, and the state it acts on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from emulator.profiles import Profile
from emulator.runs import Run
from emulator.state import State


def dump(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "backslashreplace"
    )


@dataclass(frozen=True)
class Call:
    state: State
    now: float
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: dict[str, Any]
    client_request_id: str = ""

    def metadata(self) -> dict[str, str]:
        """The request's own, else that of the run it is about, else nothing."""
        given = self.body.get("metadata")
        if given and isinstance(given, dict):
            return given
        run = self.state.runs.get(self.path.get("response") or self.path.get("run") or "")
        return run.metadata if run else {}

    def rendered(self, run: Run, render: Callable[[Run, float, Profile], dict[str, Any]]) -> bytes:
        """The run as JSON; one status looks the same at every poll, so it is rendered once."""
        key = (self.state.profile.name, run.status(self.now))
        if key not in run.rendered:
            run.rendered[key] = dump(render(run, self.now, self.state.profile))
        return run.rendered[key]
