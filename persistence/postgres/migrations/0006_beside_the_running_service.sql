-- outside a transaction: what takes long on large tables, while they go on being written

alter table applied_purchases validate constraint applied_purchases_acquisition_type_check;

alter table applied_purchases validate constraint applied_purchases_ground_check;

alter table playtime_sessions validate constraint playtime_sessions_counted_elsewhere_check;

-- A leftover of an attempt that was cut short is invalid, and "if not exists" would keep it.
drop index concurrently if exists idx_playtime_sessions_ends;

-- Finds what was played on some days without a look at the years before. last_heartbeat_at stays unindexed.
create index concurrently idx_playtime_sessions_ends on playtime_sessions (user_id, end_time) where end_time is not null;
