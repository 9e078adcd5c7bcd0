-- Times are Unix milliseconds. What counts up is a counter of its own: `generation` rises with every change that running
-- services must learn, the others tell them of which kind it was.
CREATE TABLE counters (
    name  TEXT   PRIMARY KEY NOT NULL,
    value INTEGER NOT NULL
) STRICT;
INSERT INTO counters SELECT key, value FROM meta WHERE key IN ('generation', 'key_set_number');
INSERT INTO counters VALUES
    ('builds_changed', 1), ('marks_changed', 1), ('marks_removed', 0), ('keys_changed', 1),
    ('revocation_number', 0), ('revocations_pruned', 0), ('token_number', 0), ('audit_sequence', 0),
    ('build_number', (SELECT coalesce(max(id), 0) FROM builds)), ('device_rows', (SELECT count(*) FROM devices)),
    ('device_order', 0);
CREATE TABLE labels (
    name  TEXT PRIMARY KEY NOT NULL,
    value BLOB NOT NULL
) STRICT;
INSERT INTO labels SELECT key, CAST(value AS BLOB) FROM meta WHERE key IN ('unlock_key_id', 'key_set_digest');
DROP TABLE meta;

ALTER TABLE builds RENAME COLUMN id TO number;
ALTER TABLE builds ADD COLUMN package_id TEXT;
ALTER TABLE builds ADD COLUMN team TEXT;
ALTER TABLE builds ADD COLUMN signers BLOB NOT NULL DEFAULT x'';
ALTER TABLE builds ADD COLUMN libraries TEXT NOT NULL DEFAULT '[]';
ALTER TABLE builds ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;

-- Listings follow `place`, which never changes.
CREATE TABLE devices_2 (
    id             BLOB   PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    place          INTEGER NOT NULL UNIQUE,
    key_set        TEXT   NOT NULL DEFAULT '',
    first_seen     INTEGER NOT NULL,
    last_seen      INTEGER NOT NULL,
    app            TEXT   NOT NULL DEFAULT '',
    version        TEXT   NOT NULL DEFAULT '',
    platform       TEXT   NOT NULL DEFAULT '',
    passed         INTEGER NOT NULL DEFAULT 0,
    failed         INTEGER NOT NULL DEFAULT 0,
    last_reasons   INTEGER NOT NULL DEFAULT 0,
    last_findings  TEXT   NOT NULL DEFAULT '',
    state          TEXT   NOT NULL DEFAULT 'normal'
                   CHECK (state IN ('normal', 'forced_pass', 'forced_fail', 'banned')),
    until          INTEGER,
    reason         TEXT   NOT NULL DEFAULT '',
    marked_by      TEXT   NOT NULL DEFAULT '',
    enrolled_until INTEGER,
    counter        INTEGER,
    renewed_from   BLOB,
    renewed_to     BLOB,
    -- The first device of a chain of renewals: marks are shared along it.
    family         BLOB,
    -- The value of `marks_changed` when a running service had to learn of it.
    changed        INTEGER NOT NULL DEFAULT 0,
    revision       INTEGER NOT NULL DEFAULT 1
) STRICT;
INSERT INTO devices_2 (id, place, first_seen, last_seen, passed, failed, state, until, changed)
    SELECT id, row_number() OVER (ORDER BY id), first_seen, last_seen, passed, failed, state, until,
           CASE WHEN state = 'normal' THEN 0 ELSE 1 END
    FROM devices;
DROP TABLE devices;
ALTER TABLE devices_2 RENAME TO devices;
UPDATE counters SET value = (SELECT count(*) FROM devices) WHERE name = 'device_order';
CREATE INDEX marked_devices ON devices (changed) WHERE changed > 0;
CREATE INDEX unseen_devices ON devices (last_seen) WHERE state = 'normal';
CREATE INDEX device_families ON devices (family) WHERE family IS NOT NULL;
CREATE INDEX devices_by_app ON devices (app, place);

ALTER TABLE signing_keys RENAME TO signing_keys_1;
DROP INDEX one_active_key;
CREATE TABLE signing_keys (
    kid       TEXT   PRIMARY KEY NOT NULL,
    key_set   TEXT   NOT NULL,
    algorithm TEXT   NOT NULL,
    state     TEXT   NOT NULL CHECK (state IN ('next', 'active', 'retiring', 'retired')),
    secret    BLOB,
    decoy     BLOB,
    created   INTEGER NOT NULL,
    published INTEGER NOT NULL,
    -- When the next key is to sign, where that was asked for.
    activates INTEGER,
    activated INTEGER,
    -- When the last token of a retiring key is over.
    ends      INTEGER
) STRICT;
CREATE UNIQUE INDEX one_active_key ON signing_keys (key_set) WHERE state = 'active';
CREATE UNIQUE INDEX one_next_key ON signing_keys (key_set) WHERE state = 'next';
-- One key set has one key that signs; which algorithm that is, the next start decides.
INSERT INTO signing_keys (kid, key_set, algorithm, state, secret, decoy, created, published, activated, ends)
    SELECT kid, key_set, algorithm,
           CASE WHEN state = 'active' AND created < (
               SELECT max(other.created) FROM signing_keys_1 AS other
               WHERE other.key_set = signing_keys_1.key_set AND other.state = 'active')
           THEN 'retiring' ELSE state END,
           secret, decoy, created, created, created, NULL
    FROM signing_keys_1;
DROP TABLE signing_keys_1;

CREATE TABLE revocations (
    kind    TEXT   NOT NULL CHECK (kind IN ('device', 'app', 'build', 'kid', 'issued_before')),
    value   TEXT   NOT NULL,
    number  INTEGER NOT NULL UNIQUE,
    since   INTEGER NOT NULL,
    until   INTEGER,
    lifted  INTEGER NOT NULL DEFAULT 0,
    reason  TEXT   NOT NULL,
    made_by TEXT   NOT NULL,
    PRIMARY KEY (kind, value)
) STRICT;

CREATE TABLE admin_tokens (
    number     INTEGER PRIMARY KEY NOT NULL,
    name       TEXT   NOT NULL UNIQUE,
    hash       BLOB   NOT NULL CHECK (length(hash) = 32),
    role       TEXT   NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    apps       TEXT,
    created    INTEGER NOT NULL,
    created_by TEXT   NOT NULL,
    until      INTEGER NOT NULL,
    revoked    INTEGER
) STRICT;

-- One chain per writer; `sequence` orders all of them for listings.
CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY NOT NULL,
    writer   TEXT   NOT NULL,
    number   INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    actor    TEXT   NOT NULL,
    role     TEXT   NOT NULL,
    origin   TEXT   NOT NULL,
    action   TEXT   NOT NULL,
    target   TEXT   NOT NULL,
    detail   TEXT   NOT NULL,
    mac      BLOB   NOT NULL CHECK (length(mac) = 32),
    UNIQUE (writer, number)
) STRICT;

-- Where each chain ends, authenticated: an entry can't be cut off unseen by who has the database alone.
CREATE TABLE audit_heads (
    writer TEXT   PRIMARY KEY NOT NULL,
    count  INTEGER NOT NULL,
    head   BLOB   NOT NULL CHECK (length(head) = 32),
    mac    BLOB   NOT NULL CHECK (length(mac) = 32)
) STRICT;
