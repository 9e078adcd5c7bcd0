-- Orders of operators, as gateways are told them. A number is never used again.
CREATE TABLE orders (
    number     INTEGER PRIMARY KEY NOT NULL,
    kind       TEXT   NOT NULL CHECK (kind IN ('lockdown', 'monitor', 'extend_tokens')),
    -- Names, as a JSON array; an empty one: all routes.
    routes     TEXT   NOT NULL,
    since      INTEGER NOT NULL,
    until      INTEGER NOT NULL,
    reason     TEXT   NOT NULL,
    made_by    TEXT   NOT NULL,
    -- Seconds.
    extend_by  INTEGER,
    -- When it was ended before its time.
    ended      INTEGER,
    ended_by   TEXT,
    revision   INTEGER NOT NULL DEFAULT 1
) STRICT;

-- What gateways told of themselves last. Listings follow `place`.
CREATE TABLE gateways (
    name       TEXT   PRIMARY KEY NOT NULL,
    place      INTEGER NOT NULL UNIQUE,
    first_seen INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL,
    facts      TEXT   NOT NULL
) STRICT;
CREATE INDEX gateways_by_last_seen ON gateways (last_seen);

INSERT INTO counters VALUES ('order_number', 0), ('gateway_order', 0);
