-- Customers, and every version of them.
--
-- `document` is the customer as a caller reads it (type json, which keeps its text); the columns
-- beside it follow from it, but for the sealed secrets and the head of the history. An erased
-- customer keeps id, version, times and the head of its history; everything else is null.
create table customers (
    id uuid primary key,
    version bigint not null check (version > 0),
    status text,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    erased_at timestamptz,
    document json check ((document is null) = (erased_at is not null)),
    first_name_folded text,
    last_name_folded text,
    email_folded text,
    phone_number text,
    date_of_birth date,
    metadata jsonb,
    social_id_sealed bytea,
    social_id_index bytea,
    security_answer_sealed bytea,
    -- When answers to the security question were tried, of the last minutes alone: those found
    -- wrong, and those that are not compared yet.
    wrong_answers_at timestamptz[] not null default '{}',
    pending_answers_at timestamptz[] not null default '{}',
    -- The newest entry of the history: its number, and a keyed hash over its hash. A history whose
    -- newest rows were taken away does not end here, and what stood here before them is nowhere.
    history_entry bigint not null check (history_entry > 0),
    history_hash bytea not null
) with (fillfactor = 85);

-- How often a pair of metadata occurs decides how it is looked for; the usual sample of a hundred
-- cannot tell one in a hundred from one in fifty.
alter table customers alter column metadata set statistics 500;

-- The order of the lists, and what they and the search look for. `version`, `updated_at` and
-- `document` are in no index, not even in a condition of one, so that updates stay HOT.
create index customers_by_creation on customers (created_at, id) where erased_at is null;
create index customers_by_status on customers (status, created_at, id) where erased_at is null;
create index customers_by_metadata on customers using gin (metadata jsonb_path_ops);
create index customers_by_email on customers (email_folded, created_at, id)
    where email_folded is not null;
create index customers_by_phone_number on customers (phone_number, created_at, id)
    where phone_number is not null;
create index customers_by_date_of_birth on customers (date_of_birth, created_at, id)
    where date_of_birth is not null;
create index customers_by_social_id on customers (social_id_index, created_at, id)
    where social_id_index is not null;
create index customers_by_first_name on customers (first_name_folded text_pattern_ops);
create index customers_by_last_name on customers (last_name_folded text_pattern_ops);

-- One row a write, appended in the write's own statement, never changed but by erasure. `entry`
-- counts the rows of a customer: a revealed secret is an entry without a new version.
create table customer_history (
    customer_id uuid not null references customers (id),
    entry bigint not null check (entry > 0),
    version bigint not null check (version > 0),
    action text not null,
    actor_type text not null,
    actor_id uuid not null,
    at timestamptz not null,
    request_id text not null,
    -- Which sealed fields the write changed, since their masks may look alike.
    changed_secrets text[] not null,
    -- The state after, masked, or why a secret was revealed; null once erased. The keyed digest
    -- outlives what it was made of.
    document json,
    purpose text,
    content_digest bytea not null,
    -- The idempotency record: keyed hashes of the caller's key and of the request.
    idempotency_key_hash bytea,
    request_hash bytea,
    -- The keyed hash over this entry and what `customers.history_hash` was before it.
    hash bytea not null,
    primary key (customer_id, entry)
);

create unique index customer_history_by_idempotency_key
    on customer_history (customer_id, idempotency_key_hash)
    where idempotency_key_hash is not null;
-- Finds what changed since a time without an index on `customers.updated_at`. The first entry is
-- the creation, which `created_at` tells.
create index customer_history_by_time on customer_history (at, customer_id) where entry > 1;
