"""What the soak adds to the product's database: a history of all states, and a brake."""

from __future__ import annotations

from typing import Any

import psycopg

# The name of the soak's own connections; the product's have none.
OBSERVER = "chaos"

# Logged is more than a status that changes: a state that absorbs takes no other answer either.
HISTORY = """
CREATE TABLE chaos_history (
    id bigserial PRIMARY KEY,
    simulation_id uuid NOT NULL,
    before text,
    after text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE FUNCTION chaos_remember() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos_history (simulation_id, before, after)
    VALUES (NEW.id, CASE WHEN TG_OP = 'UPDATE' THEN OLD.status END, NEW.status);
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_birth AFTER INSERT ON simulations_simulation
    FOR EACH ROW EXECUTE FUNCTION chaos_remember();
CREATE TRIGGER chaos_change AFTER UPDATE ON simulations_simulation
    FOR EACH ROW WHEN (
        (OLD.status, OLD.raw_answer, OLD.answer, OLD.finished_at)
        IS DISTINCT FROM (NEW.status, NEW.raw_answer, NEW.answer, NEW.finished_at)
    ) EXECUTE FUNCTION chaos_remember();
"""

BRAKE = """
CREATE TABLE chaos_brake (seconds double precision NOT NULL);
INSERT INTO chaos_brake VALUES (0);
CREATE FUNCTION chaos_brake() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_sleep((SELECT seconds FROM chaos_brake));
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_brake BEFORE UPDATE ON simulations_simulation
    FOR EACH STATEMENT EXECUTE FUNCTION chaos_brake();
CREATE TRIGGER chaos_brake BEFORE INSERT OR UPDATE ON simulations_run
    FOR EACH STATEMENT EXECUTE FUNCTION chaos_brake();
"""


def install(connection: psycopg.Connection[Any]) -> None:
    connection.execute(HISTORY)
    connection.execute(BRAKE)


def brake(connection: psycopg.Connection[Any], seconds: float) -> None:
    """Every write of the engine takes so much longer from now on, or less if it is negative."""
    connection.execute("UPDATE chaos_brake SET seconds = greatest(0, seconds + %s)", [seconds])
