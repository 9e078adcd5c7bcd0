-- Times are Unix milliseconds.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY NOT NULL,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('generation', 1), ('key_set_number', 0), ('key_set_digest', x'');

CREATE TABLE apps (
    name       TEXT PRIMARY KEY NOT NULL,
    registered INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE builds (
    id          INTEGER PRIMARY KEY,
    app         TEXT NOT NULL REFERENCES apps (name),
    platform    TEXT NOT NULL,
    version     TEXT NOT NULL,
    label       TEXT NOT NULL,
    measurement BLOB CHECK (length(measurement) = 32),
    registered  INTEGER NOT NULL,
    retired     INTEGER
) STRICT;
CREATE UNIQUE INDEX one_live_build ON builds (app, platform, version, label) WHERE retired IS NULL;

CREATE TABLE devices (
    id         BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    state      TEXT NOT NULL DEFAULT 'normal'
               CHECK (state IN ('normal', 'forced_pass', 'forced_fail', 'banned')),
    until      INTEGER,
    first_seen INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL,
    passed     INTEGER NOT NULL DEFAULT 0,
    failed     INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX marked_devices ON devices (state) WHERE state <> 'normal';

CREATE TABLE secrets (
    name    TEXT PRIMARY KEY NOT NULL,
    sealed  BLOB NOT NULL,
    created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE signing_keys (
    kid       TEXT PRIMARY KEY NOT NULL,
    key_set   TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    state     TEXT NOT NULL CHECK (state IN ('next', 'active', 'retiring')),
    secret    BLOB NOT NULL,
    decoy     BLOB,
    created   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX one_active_key ON signing_keys (key_set, algorithm) WHERE state = 'active';
