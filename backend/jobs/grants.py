"""What the queue role of inference workers may do: take jobs and finish them, nothing else.

procrastinate's functions run with the caller's rights, so the role needs those of their
statements; column by column, so that it can delay a job but not alter what it says.
"""

# `{queue}` is the role. Executed by the database owner after every migration.
QUEUE_GRANTS = """
revoke all on all tables in schema public from {queue};
revoke all on all sequences in schema public from {queue};
grant usage on schema public to {queue};
grant select on procrastinate_jobs to {queue};
grant update (status, worker_id, attempts, abort_requested) on procrastinate_jobs to {queue};
grant insert on procrastinate_events to {queue};
grant usage on sequence procrastinate_events_id_seq to {queue};
grant select, insert, delete on procrastinate_workers to {queue};
grant update (last_heartbeat) on procrastinate_workers to {queue};
"""
