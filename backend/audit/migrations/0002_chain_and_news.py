"""The rules of the log that only the database can hold: chain, refusal to change, news."""

from django.db import migrations

SQL = r"""
create function audit_canonical(r audit_event) returns bytea
language sql stable set search_path = public as $$
  select convert_to(concat_ws(chr(31),
    r.number, r.chain, r.position,
    to_char(r.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    coalesce(r.actor_id::text, ''), r.actor_name, r.action, r.subject_type, r.subject_id,
    r.outcome, r.reason, r.facts::text, r.software), 'UTF8')
$$;

create function audit_chain() returns trigger
language plpgsql security definer set search_path = public as $$
declare head audit_chainhead%rowtype;
begin
  insert into audit_chainhead (chain, position, hash) values (new.chain, 0, ''::bytea)
    on conflict do nothing;
  select * into head from audit_chainhead where chain = new.chain for update;
  new.position := head.position + 1;
  new.at := clock_timestamp();
  new.previous := head.hash;
  new.hash := sha256(new.previous || audit_canonical(new));
  update audit_chainhead set position = new.position, hash = new.hash where chain = new.chain;
  return new;
end $$;
create trigger audit_chain before insert on audit_event
  for each row execute function audit_chain();

create function audit_deny() returns trigger language plpgsql as $$
begin raise exception 'audit events are write-once; record a new event instead'; end $$;
create trigger audit_deny before update or delete on audit_event
  for each row execute function audit_deny();
create trigger audit_deny_truncate before truncate on audit_event
  for each statement execute function audit_deny();

create function news_number() returns trigger
language plpgsql security definer set search_path = public as $$
begin
  insert into audit_newshead (audience, seq) values (new.audience, 1)
    on conflict (audience) do update set seq = audit_newshead.seq + 1
    returning seq into new.seq;
  perform pg_notify('concord_news', new.audience);
  return new;
end $$;
create trigger news_number before insert on audit_newsitem
  for each row execute function news_number();
"""
UNDO = """
drop trigger news_number on audit_newsitem; drop function news_number();
drop trigger audit_deny_truncate on audit_event; drop trigger audit_deny on audit_event;
drop function audit_deny(); drop trigger audit_chain on audit_event; drop function audit_chain();
drop function audit_canonical(audit_event);
"""


class Migration(migrations.Migration):
    """Triggers of the audit log."""

    dependencies = (("audit", "0001_initial"),)
    operations = (migrations.RunSQL(SQL, UNDO),)
