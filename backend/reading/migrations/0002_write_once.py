"""What only the database can hold: versions are never rewritten, what was signed is final."""

from django.db import migrations

WRITE_ONCE = ("mask", "maskslice", "nodeversion", "change", "signature")

SQL = r"""
create function reading_deny() returns trigger language plpgsql as $$
begin raise exception '% rows are write-once; add a new version instead', tg_table_name; end $$;

create function reading_signed(id uuid) returns boolean
language sql stable set search_path = public as $$
  select exists (select 1 from reading_reading r
                 where r.id = $1 and r.state in ('submitted', 'compared', 'returned'))
$$;

create function reading_node_state_final() returns trigger language plpgsql as $$
begin
  if reading_signed(coalesce(new.reading_id, old.reading_id)) then
    raise exception 'the reading is signed; what it says of its nodes is final';
  end if;
  return coalesce(new, old);
end $$;
create trigger reading_node_state_final before insert or update or delete on reading_nodestate
  for each row execute function reading_node_state_final();

create function reading_change_final() returns trigger language plpgsql as $$
begin
  if reading_signed(new.reading_id) then
    raise exception 'the reading is signed; it takes no more changes';
  end if;
  return new;
end $$;
create trigger reading_change_final before insert on reading_change
  for each row execute function reading_change_final();

create function reading_final() returns trigger language plpgsql as $$
begin
  if old.state in ('submitted', 'compared', 'returned') and (
       tg_op = 'DELETE'
       or new.state not in ('submitted', 'compared', 'returned')
       or (new.case_id, new.slot, new.reader_id, new.arm, new.base_id, new.head_id,
           new.effective_id, new.submitted_at, new.changes_count)
          is distinct from
          (old.case_id, old.slot, old.reader_id, old.arm, old.base_id, old.head_id,
           old.effective_id, old.submitted_at, old.changes_count)) then
    raise exception 'the reading is signed; it is final';
  end if;
  return coalesce(new, old);
end $$;
create trigger reading_final before update or delete on reading_reading
  for each row execute function reading_final();

create function reading_protocol_frozen() returns trigger language plpgsql as $$
begin
  if exists (select 1 from reading_case c where c.protocol_id = old.id) and (
       tg_op = 'DELETE'
       or (new.code, new.version, new.design, new.definition)
          is distinct from (old.code, old.version, old.design, old.definition)) then
    raise exception 'the protocol is in use and frozen; make a new version of it';
  end if;
  return coalesce(new, old);
end $$;
create trigger reading_protocol_frozen before update or delete on reading_protocol
  for each row execute function reading_protocol_frozen();

create function reading_case_fixed() returns trigger language plpgsql as $$
begin
  if (new.project_id, new.protocol_id, new.subject_id, new.label, new.series_id, new.geometry_hash,
      new.grid_json) is distinct from
     (old.project_id, old.protocol_id, old.subject_id, old.label, old.series_id, old.geometry_hash,
      old.grid_json) then
    raise exception 'a case keeps its protocol, its subject, its series and its grid';
  end if;
  return new;
end $$;
create trigger reading_case_fixed before update on reading_case
  for each row execute function reading_case_fixed();
"""
UNDO = """
drop trigger reading_case_fixed on reading_case; drop function reading_case_fixed();
drop trigger reading_protocol_frozen on reading_protocol; drop function reading_protocol_frozen();
drop trigger reading_final on reading_reading; drop function reading_final();
drop trigger reading_change_final on reading_change; drop function reading_change_final();
drop trigger reading_node_state_final on reading_nodestate;
drop function reading_node_state_final();
drop function reading_signed(uuid); drop function reading_deny();
"""
DENY = (
    "create trigger reading_{0}_write_once before update or delete on reading_{0} "
    "for each row execute function reading_deny()"
)
ALLOW = "drop trigger reading_{0}_write_once on reading_{0}"


class Migration(migrations.Migration):
    """Triggers of the reading room."""

    dependencies = [("reading", "0001_initial")]
    operations = [
        migrations.RunSQL(SQL, UNDO),
        *(migrations.RunSQL(DENY.format(t), ALLOW.format(t)) for t in WRITE_ONCE),
    ]
