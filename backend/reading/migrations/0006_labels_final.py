"""What only the database can hold: labels and evidence are written once, signatures are final."""

from django.db import migrations

SQL = r"""
create function reading_label_allowed() returns trigger language plpgsql as $$
declare
  on_it reading_consensus%rowtype;
  reads boolean;
  left_to boolean;
begin
  select s.* into on_it from reading_consensus s
    join reading_consensusnode n on n.consensus_id = s.id where n.id = new.node_id;
  if on_it.state not in ('labelling', 'ready') then
    raise exception 'nothing is labelled in a consensus that is %', on_it.state;
  end if;
  if new.position <> 1 + (select count(*) from reading_referencelabel l
                           where l.node_id = new.node_id) then
    raise exception 'labels of a node are counted without gaps';
  end if;
  if (select count(*) from reading_evidence e
       where e.case_id = on_it.case_id and new.evidence ? e.id::text
         and (e.withdrawn_at is null or new.carried_id is not null))
     <> jsonb_array_length(new.evidence) then
    raise exception 'a label rests on evidence of its own case that was not withdrawn';
  end if;
  if new.carried_id is not null then
    if new.position <> 1 or not exists (
         select 1 from reading_referencelabel l
           join reading_consensusnode n on n.id = l.node_id
           join reading_consensusnode m on m.id = new.node_id
          where l.id = new.carried_id and n.consensus_id = on_it.supersedes_id
            and n.node_id = m.node_id and n.cluster_id = m.cluster_id
            and (l.kind, l.value, l.reason, l.rationale, l.evidence, l.rests_on_necrosis_alone,
                 l.by_id, l.role)
              = (new.kind, new.value, new.reason, new.rationale, new.evidence,
                 new.rests_on_necrosis_alone, new.by_id, new.role)) then
      raise exception 'what is carried over repeats a label of the version before';
    end if;
    return new;
  end if;
  select exists (select 1 from reading_comparison c
                   join reading_reading r on r.id in (c.first_id, c.second_id)
                  where c.id = on_it.comparison_id and r.reader_id = new.by_id) into reads;
  select exists (select 1 from reading_referencelabel l
                  where l.node_id = new.node_id and l.kind = 'deferred') into left_to;
  if new.role = 'reader' and (left_to or not reads) then
    raise exception 'a reader labels what they have read and not left to the adjudicator';
  end if;
  if new.role = 'adjudicator' and (reads or not left_to or new.kind <> 'set' or not exists (
       select 1 from reading_case c join reading_membership m on m.project_id = c.project_id
        where c.id = on_it.case_id and m.user_id = new.by_id and m.role = 'adjudicator')) then
    raise exception 'an adjudicator labels what was left to them';
  end if;
  return new;
end $$;
create trigger reading_label_allowed before insert on reading_referencelabel
  for each row execute function reading_label_allowed();
create trigger reading_referencelabel_write_once before update or delete on reading_referencelabel
  for each row execute function reading_deny();

create function reading_evidence_final() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' then
    raise exception 'evidence stays; withdraw it with a reason';
  end if;
  if tg_op = 'INSERT' then
    if new.withdrawn_at is not null then
      raise exception 'evidence is entered before it is withdrawn';
    end if;
    if new.node_id is not null and not exists (
         select 1 from reading_consensusnode n join reading_consensus s on s.id = n.consensus_id
          where n.id = new.node_id and s.case_id = new.case_id) then
      raise exception 'evidence names a node of its own case';
    end if;
    if new.kind <> 'NECR' and not exists (
         select 1 from reading_case c join reading_membership m on m.project_id = c.project_id
          where c.id = new.case_id and m.user_id = new.entered_by_id
            and m.role = 'abstractor') then
      raise exception 'an abstractor of the project enters this evidence';
    end if;
    return new;
  end if;
  if old.withdrawn_at is not null then
    raise exception 'the evidence was withdrawn; that is final';
  end if;
  if (to_jsonb(new) - 'withdrawn_at' - 'withdrawn_by_id' - 'withdrawn_reason') is distinct from
     (to_jsonb(old) - 'withdrawn_at' - 'withdrawn_by_id' - 'withdrawn_reason') then
    raise exception 'evidence is written once; withdraw it and enter it again';
  end if;
  if exists (select 1 from reading_consensus s
               join reading_consensusnode n on n.consensus_id = s.id
               join reading_referencelabel l on l.node_id = n.id
              where s.case_id = new.case_id and s.state = 'published'
                and l.evidence ? new.id::text
                and l.position = (select max(p.position) from reading_referencelabel p
                                   where p.node_id = n.id))
     and not exists (select 1 from reading_consensus s where s.case_id = new.case_id
                        and s.state in ('draft', 'labelling', 'ready', 'signing')) then
    raise exception 'a published label rests on this evidence; reopen the consensus first';
  end if;
  return new;
end $$;
create trigger reading_evidence_final before insert or update or delete on reading_evidence
  for each row execute function reading_evidence_final();

create function reading_consensus_signed() returns trigger language plpgsql as $$
declare on_it reading_consensus%rowtype;
begin
  if tg_op = 'DELETE' then
    raise exception 'a signature stays; object to it with a reason';
  end if;
  select * into on_it from reading_consensus where id = new.consensus_id;
  if tg_op = 'INSERT' then
    if new.void_at is not null or on_it.state not in ('ready', 'signing') then
      raise exception 'a consensus is signed when it is ready';
    end if;
    if exists (select 1 from reading_consensussignature g
                where g.consensus_id = new.consensus_id and g.void_at is null
                  and g.record_hash <> new.record_hash) then
      raise exception 'all sign the same record';
    end if;
    return new;
  end if;
  if old.void_at is not null or on_it.state not in ('ready', 'signing') or
     (to_jsonb(new) - 'void_at' - 'void_reason') is distinct from
     (to_jsonb(old) - 'void_at' - 'void_reason') then
    raise exception 'a signature is final; an objection before publication voids it once';
  end if;
  return new;
end $$;
create trigger reading_consensus_signed before insert or update or delete
  on reading_consensussignature for each row execute function reading_consensus_signed();
"""
UNDO = r"""
drop trigger reading_consensus_signed on reading_consensussignature;
drop function reading_consensus_signed();
drop trigger reading_evidence_final on reading_evidence; drop function reading_evidence_final();
drop trigger reading_referencelabel_write_once on reading_referencelabel;
drop trigger reading_label_allowed on reading_referencelabel; drop function reading_label_allowed();
"""


class Migration(migrations.Migration):
    """Triggers of labels, evidence and the signatures under a consensus."""

    dependencies = [("reading", "0006_labels")]
    operations = [migrations.RunSQL(SQL, UNDO)]
