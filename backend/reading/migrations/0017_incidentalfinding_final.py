"""What only the database can hold: a finding stays as it was told, and is taken up once."""

from django.db import migrations

SQL = r"""
create function reading_incidental_final() returns trigger language plpgsql as $$
begin
  if old.taken_up_at is not null
     or (old.reading_id, old.words, old.slice_index, old.reported_at)
        is distinct from (new.reading_id, new.words, new.slice_index, new.reported_at) then
    raise exception 'a finding stays as it was told, and is taken up once';
  end if;
  return new;
end $$;
create trigger reading_incidental_final before update on reading_incidentalfinding
  for each row execute function reading_incidental_final();
create trigger reading_incidental_kept before delete on reading_incidentalfinding
  for each row execute function reading_deny();
"""
BACK = r"""
drop trigger reading_incidental_kept on reading_incidentalfinding;
drop trigger reading_incidental_final on reading_incidentalfinding;
drop function reading_incidental_final();
"""


class Migration(migrations.Migration):
    dependencies = [("reading", "0016_incidentalfinding")]

    operations = [migrations.RunSQL(SQL, BACK)]
