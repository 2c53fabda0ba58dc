"""An event takes its number in its turn: after the lock on its chain's head, not before."""

from django.db import migrations

# Drawn with the row's defaults, before the lock, two numbers could stand in a chain in the other
# order than their positions, and the chain then looked as if two events had changed places.
TAKE = """
create or replace function audit_chain() returns trigger
language plpgsql security definer set search_path = public as $$
declare head audit_chainhead%rowtype;
begin
  insert into audit_chainhead (chain, position, hash) values (new.chain, 0, ''::bytea)
    on conflict do nothing;
  select * into head from audit_chainhead where chain = new.chain for update;
  {number}
  new.position := head.position + 1;
  new.at := clock_timestamp();
  new.previous := head.hash;
  new.hash := sha256(new.previous || audit_canonical(new));
  update audit_chainhead set position = new.position, hash = new.hash where chain = new.chain;
  return new;
end $$;
"""
IN_TURN = "new.number := nextval(pg_get_serial_sequence('audit_event', 'number'));"


class Migration(migrations.Migration):
    """The chain's trigger numbers its events itself."""

    dependencies = (("audit", "0002_chain_and_news"),)
    operations = (
        migrations.RunSQL(TAKE.replace("{number}", IN_TURN), TAKE.replace("{number}", "")),
    )
