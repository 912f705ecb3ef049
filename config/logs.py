"""Log lines: JSON in production, readable elsewhere; each names its request and its simulation.

No line of production holds what people or providers wrote. Foreign code quotes it in its errors: a
failed INSERT its whole row, an HTTP error the provider's answer. There an error is therefore told
by its type and its places, without its message.
"""

import logging
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, MutableMapping
from types import TracebackType
from typing import Any

import structlog

from config.database import DATABASE_AWAY, first_line
from config.request_id import current_request_id

Event = MutableMapping[str, Any]

# What a call of a logger may add to its line, by `extra`.
EXTRAS = ["address", "duration_ms", "method", "provider_request_id", "retry_in", "route", "status"]
EXTRAS += ["user_id"]
# What gunicorn says before it quotes a request that is no HTTP, or that broke it.
UNREADABLE = re.compile(r"Invalid request from ip=[0-9a-f.:]+?(?=: )|Error handling request")
# The innermost are the last.
MAX_PLACES = 30

# The least that is told of others, if LOG_LEVEL is no stricter.
LEVELS = {
    "axes": "WARNING",  # else several lines for every sign-in
    # Two lines for every tick of the engine say nothing.
    "celery.beat": "WARNING",
    "celery.app.trace": "WARNING",
    "celery.worker.strategy": "WARNING",
    "kombu.connection": "ERROR",  # warns that memory:// names no host
    "django": "INFO",  # below it, statements with their values
    "gunicorn.error": "INFO",
    # Their INFO and DEBUG lines carry URLs, headers and bodies.
    "httpcore2": "WARNING",
    "httpx2": "WARNING",
    "openai": "WARNING",
}


def logging_config(level: str, *, for_machines: bool) -> dict[str, Any]:
    """For `logging.config.dictConfig`; `for_machines`: JSON, without what people wrote."""
    render: list[Callable[..., Any]] = (
        [tell_error, structlog.processors.JSONRenderer()]
        if for_machines
        else [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(),
                pad_event_to=0,
                # Where rich is installed, its tracebacks show all variables, and take a second.
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": [
                    structlog.contextvars.merge_contextvars,
                    structlog.processors.TimeStamper(fmt="iso", utc=True),
                    structlog.stdlib.add_log_level,
                    structlog.stdlib.add_logger_name,
                    structlog.stdlib.ExtraAdder(EXTRAS),
                    add_request_id,
                    drop_what_was_written,
                    shorten_outage,
                ],
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    *render,
                ],
            },
        },
        "filters": {"errors": {"()": OnlyErrors}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            # Without the handlers that Django and gunicorn bring.
            **{
                name: {"level": stricter(level, least), "propagate": True}
                for name, least in LEVELS.items()
            },
            "django.request": {"filters": ["errors"]},
            "django.server": {"propagate": True},
        },
    }


def stricter(one: str, other: str) -> str:
    return max(one, other, key=logging.getLevelNamesMapping().__getitem__)


class OnlyErrors(logging.Filter):
    """Lets Django tell of errors alone: how a request ended is in RequestLogMiddleware's line."""

    def filter(self, record: logging.LogRecord) -> bool:
        return bool(record.exc_info)


def log_uncaught_errors() -> None:
    """What ends a process or a thread is a line too, and Python's warnings are."""
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda args: _log_uncaught(
        args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback
    )


def _log_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger("uncaught").critical("Uncaught error", exc_info=(kind, error, trace))


# --- Processors -------------------------------------------------------------------------------


def add_request_id(logger: Any, method: str, event: Event) -> Event:
    """Django logs a failed response after the middleware is done; its record has the request."""
    request = getattr(event["_record"], "request", None)
    named = getattr(request, "request_id", None) or current_request_id()
    return event | {"request_id": named} if named else event


def drop_what_was_written(logger: Any, method: str, event: Event) -> Event:
    """Celery puts the error's words into its message, Django address and host, gunicorn both."""
    record = event["_record"]
    if record.name == "celery.app.trace" and isinstance(getattr(record, "data", None), dict):
        return event | {"event": f"Task {record.data.get('name')} failed"}
    if record.name == "django.request":
        return event | {"event": event["event"].partition(": ")[0]}
    if record.name.startswith("django.security."):
        return event | {"event": f"Refused: {record.name.rpartition('.')[2]}"}
    if record.name == "gunicorn.error" and (match := UNREADABLE.match(event["event"])):
        return event | {"event": match[0]}
    return event


def shorten_outage(logger: Any, method: str, event: Event) -> Event:
    """While the database is away every request and every tick fails in the same way."""
    error = error_of(event)
    if not isinstance(error, DATABASE_AWAY):
        return event
    del event["exc_info"]
    return event | {"database": first_line(error)}


def tell_error(logger: Any, method: str, event: Event) -> Event:
    """`error`: one entry for each error of the chain, the last one first."""
    if error := error_of(event):
        event["error"] = [describe_error(link) for link in chain(error)]
    event.pop("exc_info", None)
    return event


def error_of(event: Event) -> BaseException | None:
    exc_info = event.get("exc_info")
    return exc_info[1] if isinstance(exc_info, tuple) else None


def chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def describe_error(error: BaseException) -> dict[str, Any]:
    kind = type(error)
    described: dict[str, Any] = {"type": f"{kind.__module__}.{kind.__qualname__}"}
    if isinstance(error, OSError):
        described["errno"] = error.errno
    if sqlstate := getattr(error, "sqlstate", None):
        described["sqlstate"] = sqlstate
        described["constraint"] = getattr(error.diag, "constraint_name", None)
    places = traceback.extract_tb(error.__traceback__)[-MAX_PLACES:]
    described["places"] = [f"{place.filename}:{place.lineno} {place.name}" for place in places]
    return described
