"""What only the database can hold: a comparison is of one case, and final once it is made."""

from django.db import migrations

SQL = r"""
create function reading_comparison_begins() returns trigger language plpgsql as $$
begin
  if (select count(*) from reading_reading r
       where r.id in (new.first_id, new.second_id) and r.case_id = new.case_id
         and r.state in ('submitted', 'compared')) <> 2 then
    raise exception 'a comparison is of two submitted readings of its own case';
  end if;
  return new;
end $$;
create trigger reading_comparison_begins before insert on reading_comparison
  for each row execute function reading_comparison_begins();

create function reading_comparison_final() returns trigger language plpgsql as $$
begin
  if old.state = 'made' then
    raise exception 'the comparison is made; it is final';
  end if;
  if tg_op = 'UPDATE' and (new.case_id, new.first_id, new.second_id, new.x_is_first) is distinct from
                          (old.case_id, old.first_id, old.second_id, old.x_is_first) then
    raise exception 'a comparison keeps its readings and the order they are shown in';
  end if;
  return coalesce(new, old);
end $$;
create trigger reading_comparison_final before update or delete on reading_comparison
  for each row execute function reading_comparison_final();

create function reading_cluster_final() returns trigger language plpgsql as $$
begin
  if exists (select 1 from reading_comparison c
              where c.id = new.comparison_id and c.state = 'made') then
    raise exception 'the comparison is made; it takes no more clusters';
  end if;
  return new;
end $$;
create trigger reading_cluster_final before insert on reading_cluster
  for each row execute function reading_cluster_final();
create trigger reading_cluster_write_once before update or delete on reading_cluster
  for each row execute function reading_deny();

create function reading_discrepancy_final() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    if exists (select 1 from reading_comparison c join reading_cluster k on k.comparison_id = c.id
                where k.id = new.cluster_id and c.state = 'made') then
      raise exception 'the comparison is made; it takes no more discrepancies';
    end if;
    return new;
  end if;
  if tg_op = 'DELETE' or old.state in ('resolved', 'indeterminate') then
    raise exception 'a discrepancy stays, and is final once it is decided';
  end if;
  if (new.cluster_id, new.triggers) is distinct from (old.cluster_id, old.triggers) then
    raise exception 'a discrepancy keeps its cluster and its triggers';
  end if;
  return new;
end $$;
create trigger reading_discrepancy_final before insert or update or delete on reading_discrepancy
  for each row execute function reading_discrepancy_final();
"""
UNDO = """
drop trigger reading_discrepancy_final on reading_discrepancy;
drop function reading_discrepancy_final();
drop trigger reading_cluster_write_once on reading_cluster;
drop trigger reading_cluster_final on reading_cluster; drop function reading_cluster_final();
drop trigger reading_comparison_final on reading_comparison;
drop function reading_comparison_final();
drop trigger reading_comparison_begins on reading_comparison;
drop function reading_comparison_begins();
"""


class Migration(migrations.Migration):
    """Triggers of the comparison."""

    dependencies = [("reading", "0003_comparison")]
    operations = [migrations.RunSQL(SQL, UNDO)]
