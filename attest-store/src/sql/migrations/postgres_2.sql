-- Times are Unix milliseconds. What counts up is a counter of its own: `generation` rises with every change that running
-- services must learn, the others tell them of which kind it was.
CREATE TABLE counters (
    name  TEXT   PRIMARY KEY NOT NULL,
    value BIGINT NOT NULL
);
INSERT INTO counters VALUES
    ('generation', 1), ('key_set_number', 0),
    ('builds_changed', 1), ('marks_changed', 1), ('marks_removed', 0), ('keys_changed', 1),
    ('revocation_number', 0), ('revocations_pruned', 0), ('token_number', 0), ('audit_sequence', 0),
    ('build_number', 0), ('device_rows', 0), ('device_order', 0);
CREATE TABLE labels (
    name  TEXT PRIMARY KEY NOT NULL,
    value BYTEA NOT NULL
);
INSERT INTO labels VALUES ('key_set_digest', '');

CREATE TABLE apps (
    name       TEXT   PRIMARY KEY NOT NULL,
    registered BIGINT NOT NULL
);

CREATE TABLE builds (
    number      BIGINT PRIMARY KEY NOT NULL,
    app         TEXT   NOT NULL REFERENCES apps (name),
    platform    TEXT   NOT NULL,
    version     TEXT   NOT NULL,
    label       TEXT   NOT NULL,
    measurement BYTEA   CHECK (length(measurement) = 32),
    registered  BIGINT NOT NULL,
    retired     BIGINT,
    package_id  TEXT,
    team        TEXT,
    signers     BYTEA   NOT NULL DEFAULT '',
    libraries   TEXT   NOT NULL DEFAULT '[]',
    revision    BIGINT NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX one_live_build ON builds (app, platform, version, label) WHERE retired IS NULL;

-- Listings follow `place`, which never changes.
CREATE TABLE devices (
    id             BYTEA   PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    place          BIGINT NOT NULL UNIQUE,
    key_set        TEXT   NOT NULL DEFAULT '',
    first_seen     BIGINT NOT NULL,
    last_seen      BIGINT NOT NULL,
    app            TEXT   NOT NULL DEFAULT '',
    version        TEXT   NOT NULL DEFAULT '',
    platform       TEXT   NOT NULL DEFAULT '',
    passed         BIGINT NOT NULL DEFAULT 0,
    failed         BIGINT NOT NULL DEFAULT 0,
    last_reasons   BIGINT NOT NULL DEFAULT 0,
    last_findings  TEXT   NOT NULL DEFAULT '',
    state          TEXT   NOT NULL DEFAULT 'normal'
                   CHECK (state IN ('normal', 'forced_pass', 'forced_fail', 'banned')),
    until          BIGINT,
    reason         TEXT   NOT NULL DEFAULT '',
    marked_by      TEXT   NOT NULL DEFAULT '',
    enrolled_until BIGINT,
    counter        BIGINT,
    renewed_from   BYTEA,
    renewed_to     BYTEA,
    -- The first device of a chain of renewals: marks are shared along it.
    family         BYTEA,
    -- The value of `marks_changed` when a running service had to learn of it.
    changed        BIGINT NOT NULL DEFAULT 0,
    revision       BIGINT NOT NULL DEFAULT 1
);
CREATE INDEX marked_devices ON devices (changed) WHERE changed > 0;
CREATE INDEX unseen_devices ON devices (last_seen) WHERE state = 'normal';
CREATE INDEX device_families ON devices (family) WHERE family IS NOT NULL;
CREATE INDEX devices_by_app ON devices (app, place);

CREATE TABLE secrets (
    name    TEXT   PRIMARY KEY NOT NULL,
    sealed  BYTEA   NOT NULL,
    created BIGINT NOT NULL
);

CREATE TABLE signing_keys (
    kid       TEXT   PRIMARY KEY NOT NULL,
    key_set   TEXT   NOT NULL,
    algorithm TEXT   NOT NULL,
    state     TEXT   NOT NULL CHECK (state IN ('next', 'active', 'retiring', 'retired')),
    secret    BYTEA,
    decoy     BYTEA,
    created   BIGINT NOT NULL,
    published BIGINT NOT NULL,
    -- When the next key is to sign, where that was asked for.
    activates BIGINT,
    activated BIGINT,
    -- When the last token of a retiring key is over.
    ends      BIGINT
);
CREATE UNIQUE INDEX one_active_key ON signing_keys (key_set) WHERE state = 'active';
CREATE UNIQUE INDEX one_next_key ON signing_keys (key_set) WHERE state = 'next';

CREATE TABLE revocations (
    kind    TEXT   NOT NULL CHECK (kind IN ('device', 'app', 'build', 'kid', 'issued_before')),
    value   TEXT   NOT NULL,
    number  BIGINT NOT NULL UNIQUE,
    since   BIGINT NOT NULL,
    until   BIGINT,
    lifted  BIGINT NOT NULL DEFAULT 0,
    reason  TEXT   NOT NULL,
    made_by TEXT   NOT NULL,
    PRIMARY KEY (kind, value)
);

CREATE TABLE admin_tokens (
    number     BIGINT PRIMARY KEY NOT NULL,
    name       TEXT   NOT NULL UNIQUE,
    hash       BYTEA   NOT NULL CHECK (length(hash) = 32),
    role       TEXT   NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    apps       TEXT,
    created    BIGINT NOT NULL,
    created_by TEXT   NOT NULL,
    until      BIGINT NOT NULL,
    revoked    BIGINT
);

-- One chain per writer; `sequence` orders all of them for listings.
CREATE TABLE audit (
    sequence BIGINT PRIMARY KEY NOT NULL,
    writer   TEXT   NOT NULL,
    number   BIGINT NOT NULL,
    at       BIGINT NOT NULL,
    actor    TEXT   NOT NULL,
    role     TEXT   NOT NULL,
    origin   TEXT   NOT NULL,
    action   TEXT   NOT NULL,
    target   TEXT   NOT NULL,
    detail   TEXT   NOT NULL,
    mac      BYTEA   NOT NULL CHECK (length(mac) = 32),
    UNIQUE (writer, number)
);

-- Where each chain ends, authenticated: an entry can't be cut off unseen by who has the database alone.
CREATE TABLE audit_heads (
    writer TEXT   PRIMARY KEY NOT NULL,
    count  BIGINT NOT NULL,
    head   BYTEA   NOT NULL CHECK (length(head) = 32),
    mac    BYTEA   NOT NULL CHECK (length(mac) = 32)
);
