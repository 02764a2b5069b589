-- +goose Up
CREATE TABLE journal_topic_heads (
    topic  TEXT    NOT NULL,
    part   BIGINT  NOT NULL,
    next   BIGINT  NOT NULL,
    kept   BIGINT  NOT NULL,
    ticked BIGINT  NOT NULL,
    PRIMARY KEY (topic, part)
);
CREATE TABLE journal_topic_frames (
    topic    TEXT    NOT NULL,
    part     BIGINT  NOT NULL,
    pos      BIGINT  NOT NULL,
    kind     BIGINT  NOT NULL,
    tenant   TEXT    NOT NULL,
    source   TEXT    NOT NULL,
    received BIGINT  NOT NULL,
    origin   BYTEA,
    size     BIGINT  NOT NULL,
    body     BYTEA    NOT NULL,
    PRIMARY KEY (topic, part, pos)
);
-- How far each stage is. attempts counts the failures at the frame it is at.
CREATE TABLE journal_cursors (
    stage    TEXT    NOT NULL,
    topic    TEXT    NOT NULL,
    part     BIGINT  NOT NULL,
    next     BIGINT  NOT NULL,
    attempts BIGINT  NOT NULL,
    PRIMARY KEY (stage, topic, part)
);
CREATE TABLE journal_leases (
    name  TEXT    NOT NULL PRIMARY KEY,
    owner TEXT    NOT NULL,
    token BIGINT  NOT NULL,
    until BIGINT  NOT NULL
);
-- Frames that a stage could not handle, with their bytes: trimming the journal
-- loses nothing.
CREATE TABLE journal_parked (
    stage    TEXT    NOT NULL,
    topic    TEXT    NOT NULL,
    part     BIGINT  NOT NULL,
    pos      BIGINT  NOT NULL,
    kind     BIGINT  NOT NULL,
    tenant   TEXT    NOT NULL,
    source   TEXT    NOT NULL,
    received BIGINT  NOT NULL,
    origin   BYTEA,
    size     BIGINT  NOT NULL,
    body     BYTEA    NOT NULL,
    attempts BIGINT  NOT NULL,
    error    TEXT    NOT NULL,
    parked   BIGINT  NOT NULL,
    PRIMARY KEY (stage, topic, part, pos)
);
-- The bodies are compressed already.
ALTER TABLE journal_topic_frames ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE journal_parked ALTER COLUMN body SET STORAGE EXTERNAL;
