"""Runs the agents whose time has come.

It stands above the services, whose rules of quota and access hold for agents too, and beside the
engine, which knows no services: the task hands it to the engine, whose one look for work asks
whether any agent is due.
"""

import logging
from datetime import datetime

from django.db import transaction
from django.db.models.functions import Now

from config.database import DATABASE_AWAY
from config.errors import AppError
from simulations import services
from simulations.models import Agent

logger = logging.getLogger(__name__)

# In one look for work: the calls of other simulations wait meanwhile.
MAX_AT_ONCE = 5


def run_due_agents() -> bool:
    """Says whether any question was asked. On the database's clock."""
    due = list(Agent.objects.due().order_by("next_run_at").annotate(now=Now())[:MAX_AT_ONCE])
    return sum(map(run_scheduled, due)) > 0


def run_scheduled(agent: Agent) -> bool:
    """Claim, run and history are one transaction: a crash leaves all of them or none."""
    next_run_at, obstacle = plan_next(agent)
    with transaction.atomic():
        if not Agent.objects.claim(agent, next_run_at):
            return False
        reason = obstacle or try_to_run(agent)
        if reason:
            logger.warning("Agent %s was skipped: %s", agent.pk, reason)
            agent.note_skip(reason)
    return not reason


def plan_next(agent: Agent) -> tuple[datetime | None, str]:
    """The next time, and why there is none. What was a time zone when it was stored may be none to
    the machine that runs it: that must not keep the others from theirs either."""
    try:
        return agent.time_after(agent.now), ""
    except Exception:
        logger.exception("Agent %s has a schedule that can't be read", agent.pk)
    return None, (
        f"Its schedule, “{agent.schedule}” in the time zone {agent.time_zone}, can't be read any "
        "more: it runs no longer. Edit it, and choose another time zone."
    )


def try_to_run(agent: Agent) -> str:
    """Why it did not run; empty if it did. One that can't must not keep the others from theirs."""
    try:
        services.run_agent(agent)
    except AppError as error:
        return error.message
    except DATABASE_AWAY:
        raise
    except Exception:
        logger.exception("Agent %s can't be run", agent.pk)
        return "Something went wrong inside Sitrep. An administrator can find it in the log."
    return ""
