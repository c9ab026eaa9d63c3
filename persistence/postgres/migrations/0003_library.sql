-- The user's own categories, what was taken back, and the grounds of what is owned (R-LIB-3, R-LIB-5, R-LIB-8).
-- The previous release goes on while this is applied: what it writes gets defaults that mean what it meant.

create table user_game_categories (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null,
    name varchar(100) not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    -- Checked at the commit: in one flush two categories may have swapped their names.
    unique (user_id, name) deferrable initially deferred
);

-- A refunded product with its play and what the user made of it: it comes back with them, and a client that asks what
-- changed learns that it is gone. A row leaves when the product is acquired again.
create table removed_library_items (
    user_id uuid not null,
    product_id uuid not null,
    id uuid not null,
    removed_at timestamptz not null,
    added_at timestamptz not null,
    acquisition_type varchar(50) not null,
    installation_status varchar(50) not null,
    install_event_at timestamptz,
    last_played_at timestamptz,
    total_playtime_seconds bigint not null,
    is_hidden boolean not null,
    last_session_end_at timestamptz,
    user_rating smallint,
    user_defined_categories uuid[],
    updated_at timestamptz not null,
    primary key (user_id, product_id)
);

-- A purchase becomes one of several grounds; a refund is remembered with it, or before it (then the type is null).
alter table applied_purchases
    add column acquisition_type varchar(50) default 'purchase',
    add constraint applied_purchases_acquisition_type_check check (
        acquisition_type in ('purchase', 'gift', 'key_activation', 'family_shared_access', 'free_to_play')
    ) not valid,
    add column added_at timestamptz,
    add column refunded_at timestamptz,
    alter column applied_at set default now(),
    add constraint applied_purchases_ground_check check (
        acquisition_type is not null or refunded_at is not null
    ) not valid;
