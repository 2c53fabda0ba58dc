"""What only the database can hold: steps follow the table, what is decided and agreed is final."""

from django.db import migrations

SQL = r"""
create or replace function reading_discrepancy_final() returns trigger language plpgsql as $$
declare opened reading_consensus%rowtype;
begin
  if tg_op = 'DELETE' or (tg_op = 'UPDATE' and old.state in ('resolved', 'indeterminate')) then
    raise exception 'a discrepancy stays, and is final once it is decided';
  end if;
  select * into opened from reading_consensus where id = new.consensus_id;
  if opened.state <> 'draft' then
    raise exception 'the consensus is settled; nothing of its discrepancies changes';
  end if;
  if tg_op = 'INSERT' then
    if not exists (select 1 from reading_cluster k
                    where k.id = new.cluster_id and k.comparison_id = opened.comparison_id) then
      raise exception 'a consensus settles the clusters of its own comparison';
    end if;
    if new.state not in ('open', 'resolved', 'indeterminate') or new.version <> 0 then
      raise exception 'a discrepancy begins open or decided';
    end if;
    if new.decision_id is not null and not exists (
         select 1 from reading_step s join reading_discrepancy d on d.id = s.discrepancy_id
          where s.id = new.decision_id and d.cluster_id = new.cluster_id
            and s.action in ('agree', 'leave', 'resolve')) then
      raise exception 'what is carried over was decided on the same cluster';
    end if;
    return new;
  end if;
  if (new.cluster_id, new.consensus_id, new.triggers, new.by_rule) is distinct from
     (old.cluster_id, old.consensus_id, old.triggers, old.by_rule) then
    raise exception 'a discrepancy keeps its cluster, its consensus and its triggers';
  end if;
  if (old.state, new.state) not in (('open', 'proposed'), ('open', 'deferred'),
       ('proposed', 'proposed'), ('proposed', 'resolved'), ('proposed', 'indeterminate'),
       ('proposed', 'deferred'), ('deferred', 'resolved'), ('deferred', 'indeterminate')) then
    raise exception 'a discrepancy that is % does not become %', old.state, new.state;
  end if;
  if new.version <> old.version + 1 or not exists (
       select 1 from reading_step s
        where s.discrepancy_id = new.id and s.position = new.version
          and (new.proposal_id is null or new.proposal_id = s.id)
          and (new.decision_id is null or new.decision_id = s.id)) then
    raise exception 'a discrepancy moves with its newest step';
  end if;
  return new;
end $$;
alter table reading_discrepancy enable trigger reading_discrepancy_final;

create function reading_step_allowed() returns trigger language plpgsql as $$
declare
  on_it reading_discrepancy%rowtype;
  reads boolean;
  allowed boolean;
begin
  select * into on_it from reading_discrepancy where id = new.discrepancy_id;
  if on_it.state in ('resolved', 'indeterminate') or new.position <> on_it.version + 1 then
    raise exception 'a step is the next on a discrepancy that is not decided';
  end if;
  select exists (select 1 from reading_consensus s
                   join reading_comparison c on c.id = s.comparison_id
                   join reading_reading r on r.id in (c.first_id, c.second_id)
                  where s.id = on_it.consensus_id and r.reader_id = new.actor_id) into reads;
  if new.role = 'reader' and not reads then
    raise exception 'a reader settles what they have read';
  end if;
  if new.role = 'adjudicator' then
    select exists (select 1 from reading_consensus s
                     join reading_case c on c.id = s.case_id
                     join reading_membership m on m.project_id = c.project_id
                    where s.id = on_it.consensus_id and m.user_id = new.actor_id
                      and m.role = 'adjudicator') into allowed;
    if reads or not allowed or on_it.state <> 'deferred' then
      raise exception 'an adjudicator ends what two other people deferred';
    end if;
  end if;
  if new.proposal_id is not null then
    if new.proposal_id is distinct from on_it.proposal_id or exists (
         select 1 from reading_step s
          where s.id = new.proposal_id
            and (s.actor_id = new.actor_id or s.resolution <> new.resolution
                 or s.mask_id is distinct from new.mask_id)) then
      raise exception 'the other reader agrees, to what is proposed now';
    end if;
  end if;
  return new;
end $$;
create trigger reading_step_allowed before insert on reading_step
  for each row execute function reading_step_allowed();

create function reading_step_final() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' or old.answer <> '{}'::jsonb
     or to_jsonb(new) - 'answer' is distinct from to_jsonb(old) - 'answer' then
    raise exception 'a step is write-once; its answer is given once';
  end if;
  return new;
end $$;
create trigger reading_step_final before update or delete on reading_step
  for each row execute function reading_step_final();

create function reading_consensus_final() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' then
    raise exception 'a consensus stays; supersede it by another version';
  end if;
  if tg_op = 'INSERT' then
    if new.state <> 'draft' or not exists (
         select 1 from reading_comparison c
          where c.id = new.comparison_id and c.case_id = new.case_id and c.state = 'made') then
      raise exception 'a consensus begins as a draft, on a comparison made of its case';
    end if;
    if new.version <> (select coalesce(max(s.version), 0) + 1
                         from reading_consensus s where s.case_id = new.case_id) then
      raise exception 'versions of a consensus are counted without gaps';
    end if;
    return new;
  end if;
  if (new.case_id, new.comparison_id, new.version, new.supersedes_id, new.reason)
     is distinct from
     (old.case_id, old.comparison_id, old.version, old.supersedes_id, old.reason) then
    raise exception 'a consensus keeps its case, its comparison and its version';
  end if;
  if (old.state, new.state) not in (('draft', 'draft'), ('draft', 'labelling'),
       ('labelling', 'labelling'), ('labelling', 'ready'), ('ready', 'ready'),
       ('ready', 'labelling'), ('ready', 'signing'), ('signing', 'signing'),
       ('signing', 'labelling'), ('signing', 'published'), ('draft', 'superseded'),
       ('labelling', 'superseded'), ('ready', 'superseded'), ('signing', 'superseded'),
       ('published', 'superseded')) then
    raise exception 'a consensus that is % does not become %', old.state, new.state;
  end if;
  if old.state <> 'draft' and
     (new.mask_id, new.ignored_id, new.facts, new.settled_at) is distinct from
     (old.mask_id, old.ignored_id, old.facts, old.settled_at) then
    raise exception 'what was agreed is settled; open another version instead';
  end if;
  if old.state = 'draft' and new.state = 'labelling' and exists (
       select 1 from reading_discrepancy d
        where d.consensus_id = new.id and d.state not in ('resolved', 'indeterminate')) then
    raise exception 'something is still to be settled';
  end if;
  if (new.state <> 'published' or old.state = 'published')
     and new.published_at is distinct from old.published_at
     or old.state in ('published', 'superseded') and new.record_hash <> old.record_hash then
    raise exception 'a consensus is published once, with the record that was signed';
  end if;
  return new;
end $$;
create trigger reading_consensus_final before insert or update or delete on reading_consensus
  for each row execute function reading_consensus_final();

create function reading_consensus_node_final() returns trigger language plpgsql as $$
begin
  if not exists (select 1 from reading_consensus s join reading_cluster k
                   on k.comparison_id = s.comparison_id
                  where s.id = new.consensus_id and k.id = new.cluster_id
                    and s.state = 'draft') then
    raise exception 'the nodes of a consensus are agreed on when it settles';
  end if;
  return new;
end $$;
create trigger reading_consensus_node_final before insert on reading_consensusnode
  for each row execute function reading_consensus_node_final();
create trigger reading_consensusnode_write_once before update or delete on reading_consensusnode
  for each row execute function reading_deny();
"""
UNDO = r"""
drop trigger reading_consensusnode_write_once on reading_consensusnode;
drop trigger reading_consensus_node_final on reading_consensusnode;
drop function reading_consensus_node_final();
drop trigger reading_consensus_final on reading_consensus; drop function reading_consensus_final();
drop trigger reading_step_final on reading_step; drop function reading_step_final();
drop trigger reading_step_allowed on reading_step; drop function reading_step_allowed();
create or replace function reading_discrepancy_final() returns trigger language plpgsql as $$
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
"""


class Migration(migrations.Migration):
    """Triggers of settling."""

    dependencies = [("reading", "0005_settling")]
    operations = [migrations.RunSQL(SQL, UNDO)]
