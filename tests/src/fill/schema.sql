-- The tables of a Pryv.io platform, as far as a backup reads them (indexes come after the rows).
CREATE TABLE users_index (username text PRIMARY KEY, user_id text UNIQUE NOT NULL);
CREATE TABLE streams (user_id text NOT NULL, id text NOT NULL, name text, parent_id text, path text NOT NULL,
  client_data jsonb, single_activity boolean DEFAULT false, trashed boolean DEFAULT false, created double precision,
  created_by text, modified double precision, modified_by text, deleted double precision);
CREATE TABLE events (user_id text NOT NULL, id text NOT NULL, head_id text, stream_ids jsonb, time double precision,
  end_time double precision, type text, tags jsonb, content jsonb, description text, client_data jsonb, attachments jsonb,
  integrity text, trashed boolean DEFAULT false, created double precision, created_by text, modified double precision,
  modified_by text, deleted double precision);
CREATE TABLE accesses (user_id text NOT NULL, id text NOT NULL, serial integer, head_id text, token text, name text,
  type text, device_name text, permissions jsonb, client_data jsonb, expires double precision, last_used double precision,
  calls jsonb, integrity text, integrity_batch_code double precision, created double precision, created_by text,
  created_by_serial integer, modified double precision, modified_by text, modified_by_serial integer,
  deleted double precision, alias text);
CREATE TABLE webhooks (user_id text NOT NULL, id text NOT NULL, access_id text, url text, state text,
  run_count integer DEFAULT 0, fail_count integer DEFAULT 0, last_run jsonb, runs jsonb, current_retries integer DEFAULT 0,
  max_retries integer, min_interval_ms integer, created double precision, created_by text, modified double precision,
  modified_by text, deleted double precision, scopes jsonb);
CREATE TABLE profile (user_id text NOT NULL, id text NOT NULL, data jsonb);
CREATE TABLE passwords (user_id text NOT NULL, time double precision NOT NULL, hash text NOT NULL, created_by text);
CREATE TABLE store_key_values (user_id text NOT NULL, store_id text NOT NULL, key text NOT NULL, value jsonb);
CREATE TABLE account_fields (user_id text NOT NULL, field text NOT NULL, value jsonb, time double precision NOT NULL,
  created_by text);
CREATE TABLE series_data (user_id text NOT NULL, event_id text NOT NULL, point_time double precision NOT NULL,
  delta_time bigint NOT NULL, fields jsonb NOT NULL);
CREATE TABLE audit_events (user_id text NOT NULL, eventid text NOT NULL, head_id text, stream_ids text,
  time double precision, deleted double precision, end_time double precision, type text, content jsonb, description text,
  client_data jsonb, integrity text, attachments jsonb, trashed boolean DEFAULT false, created double precision,
  created_by text, modified double precision, modified_by text);
CREATE TABLE attachment_files (user_id text NOT NULL, event_id text NOT NULL, file_id text NOT NULL,
  seq integer NOT NULL, data bytea NOT NULL);
CREATE TABLE platform_kv (key text PRIMARY KEY, value text NOT NULL);

CREATE TABLE event_streams (
  user_id text NOT NULL, event_id text NOT NULL, stream_id text NOT NULL, stream_path text NOT NULL,
  PRIMARY KEY (user_id, event_id, stream_id)
);
CREATE INDEX idx_es_path ON event_streams (user_id, stream_path text_pattern_ops);
CREATE INDEX idx_es_stream ON event_streams (user_id, stream_id, event_id);
CREATE TABLE alias_index (alias text PRIMARY KEY, user_id text NOT NULL);
CREATE TABLE sessions (id text PRIMARY KEY, data jsonb, expires timestamptz);
CREATE TABLE password_resets (id text PRIMARY KEY, username text, expires timestamptz);
