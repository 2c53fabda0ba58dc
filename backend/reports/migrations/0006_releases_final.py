"""What only the database can hold: a release is final once it is frozen, and never deleted."""

from django.db import migrations

SQL = r"""
create function reports_release_final() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' then
    raise exception 'a release is kept';
  end if;
  if old.state = 'withdrawn' or (old.state = 'frozen' and new.state = 'draft')
     or (old.state = 'draft' and new.state = 'withdrawn') then
    raise exception 'a release goes from draft to frozen to withdrawn';
  end if;
  if old.state = 'frozen' and
     (new.project_id, new.name, new.held_out, new.manifest, new.sha256, new.frozen_at)
       is distinct from
     (old.project_id, old.name, old.held_out, old.manifest, old.sha256, old.frozen_at) then
    raise exception 'a frozen release stays as it was frozen';
  end if;
  if new.looks < old.looks then
    raise exception 'looks are counted upward';
  end if;
  return new;
end $$;
create trigger reports_release_final before update or delete on reports_release
  for each row execute function reports_release_final();

create function reports_releaseitem_final() returns trigger language plpgsql as $$
begin
  if (select state from reports_release where id = coalesce(new.release_id, old.release_id))
     <> 'draft' then
    raise exception 'the list of a frozen release is final';
  end if;
  if tg_op <> 'DELETE' and not exists (
       select 1 from reading_consensus c join reading_case k on k.id = c.case_id
         join reports_release r on r.id = new.release_id
        where c.id = new.consensus_id and k.id = new.case_id and k.project_id = r.project_id) then
    raise exception 'a release lists versions of cases of its own project';
  end if;
  return coalesce(new, old);
end $$;
create trigger reports_releaseitem_final before insert or update or delete on reports_releaseitem
  for each row execute function reports_releaseitem_final();
"""
BACK = r"""
drop trigger reports_releaseitem_final on reports_releaseitem;
drop function reports_releaseitem_final();
drop trigger reports_release_final on reports_release;
drop function reports_release_final();
"""


class Migration(migrations.Migration):
    dependencies = [("reports", "0005_releases")]

    operations = [migrations.RunSQL(SQL, BACK)]
