"""What only the database can hold: the side of a subject is for life."""

from django.db import migrations

SQL = r"""
create function reading_subject_role_final() returns trigger language plpgsql as $$
begin
  if old.role <> '' and new.role <> old.role then
    raise exception 'the side of a subject is for life';
  end if;
  return new;
end $$;
create trigger reading_subject_role_final before update on reading_subject
  for each row execute function reading_subject_role_final();
"""
BACK = r"""
drop trigger reading_subject_role_final on reading_subject;
drop function reading_subject_role_final();
"""


class Migration(migrations.Migration):
    dependencies = [("reading", "0014_subject_role")]

    operations = [migrations.RunSQL(SQL, BACK)]
