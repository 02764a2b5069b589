-- +goose Up
-- One row a partition. The next offset is taken under this row's lock, so that
-- offsets become visible in order.
CREATE TABLE journal_raw_heads (
    topic  TEXT    NOT NULL,
    part   BIGINT  NOT NULL,
    next   BIGINT  NOT NULL, -- the offset that the next frame gets
    kept   BIGINT  NOT NULL, -- the first offset that has not been trimmed
    ticked BIGINT  NOT NULL, -- time of the last tick, microseconds
    PRIMARY KEY (topic, part)
);
CREATE TABLE journal_raw_frames (
    topic    TEXT    NOT NULL,
    part     BIGINT  NOT NULL,
    pos      BIGINT  NOT NULL,
    kind     BIGINT  NOT NULL,
    tenant   TEXT    NOT NULL,
    source   TEXT    NOT NULL,
    received BIGINT  NOT NULL,
    origin   BYTEA,             -- the key as JSON, for frames that have one
    size     BIGINT  NOT NULL, -- of the records before compression
    body     BYTEA    NOT NULL,
    PRIMARY KEY (topic, part, pos)
);
-- The highest sequence number seen in an epoch; its row lock makes two batches
-- of one device come one after the other.
CREATE TABLE journal_raw_epochs (
    tenant   TEXT    NOT NULL,
    device   TEXT    NOT NULL,
    epoch    TEXT    NOT NULL,
    last_seq BIGINT  NOT NULL,
    prior    BIGINT  NOT NULL,
    PRIMARY KEY (tenant, device, epoch)
);
-- What was acknowledged, kept after its frame is trimmed: a replay or a fork
-- may come late.
CREATE TABLE journal_raw_keys (
    tenant    TEXT    NOT NULL,
    device    TEXT    NOT NULL,
    epoch     TEXT    NOT NULL,
    last_seq  BIGINT  NOT NULL,
    first_seq BIGINT  NOT NULL,
    hash      BYTEA    NOT NULL,
    part      BIGINT  NOT NULL,
    pos       BIGINT  NOT NULL,
    fork      BIGINT  NOT NULL,
    PRIMARY KEY (tenant, device, epoch, last_seq, first_seq, hash)
);
-- The bodies are compressed already.
ALTER TABLE journal_raw_frames ALTER COLUMN body SET STORAGE EXTERNAL;
