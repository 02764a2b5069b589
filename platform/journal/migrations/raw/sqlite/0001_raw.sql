-- +goose Up
-- One row a partition. The next offset is taken under this row's lock, so that
-- offsets become visible in order.
CREATE TABLE journal_raw_heads (
    topic  TEXT    NOT NULL,
    part   INTEGER NOT NULL,
    next   INTEGER NOT NULL, -- the offset that the next frame gets
    kept   INTEGER NOT NULL, -- the first offset that has not been trimmed
    ticked INTEGER NOT NULL, -- time of the last tick, microseconds
    PRIMARY KEY (topic, part)
) STRICT;
CREATE TABLE journal_raw_frames (
    topic    TEXT    NOT NULL,
    part     INTEGER NOT NULL,
    pos      INTEGER NOT NULL,
    kind     INTEGER NOT NULL,
    tenant   TEXT    NOT NULL,
    source   TEXT    NOT NULL,
    received INTEGER NOT NULL,
    origin   BLOB,             -- the key as JSON, for frames that have one
    size     INTEGER NOT NULL, -- of the records before compression
    body     BLOB    NOT NULL,
    PRIMARY KEY (topic, part, pos)
) STRICT;
-- The highest sequence number seen in an epoch; its row lock makes two batches
-- of one device come one after the other.
CREATE TABLE journal_raw_epochs (
    tenant   TEXT    NOT NULL,
    device   TEXT    NOT NULL,
    epoch    TEXT    NOT NULL,
    last_seq INTEGER NOT NULL,
    prior    INTEGER NOT NULL,
    PRIMARY KEY (tenant, device, epoch)
) STRICT;
-- What was acknowledged, kept after its frame is trimmed: a replay or a fork
-- may come late.
CREATE TABLE journal_raw_keys (
    tenant    TEXT    NOT NULL,
    device    TEXT    NOT NULL,
    epoch     TEXT    NOT NULL,
    last_seq  INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    hash      BLOB    NOT NULL,
    part      INTEGER NOT NULL,
    pos       INTEGER NOT NULL,
    fork      INTEGER NOT NULL,
    PRIMARY KEY (tenant, device, epoch, last_seq, first_seq, hash)
) STRICT, WITHOUT ROWID;
