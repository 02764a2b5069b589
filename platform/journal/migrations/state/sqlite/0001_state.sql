-- +goose Up
CREATE TABLE journal_topic_heads (
    topic  TEXT    NOT NULL,
    part   INTEGER NOT NULL,
    next   INTEGER NOT NULL,
    kept   INTEGER NOT NULL,
    ticked INTEGER NOT NULL,
    PRIMARY KEY (topic, part)
) STRICT;
CREATE TABLE journal_topic_frames (
    topic    TEXT    NOT NULL,
    part     INTEGER NOT NULL,
    pos      INTEGER NOT NULL,
    kind     INTEGER NOT NULL,
    tenant   TEXT    NOT NULL,
    source   TEXT    NOT NULL,
    received INTEGER NOT NULL,
    origin   BLOB,
    size     INTEGER NOT NULL,
    body     BLOB    NOT NULL,
    PRIMARY KEY (topic, part, pos)
) STRICT;
-- How far each stage is. attempts counts the failures at the frame it is at.
CREATE TABLE journal_cursors (
    stage    TEXT    NOT NULL,
    topic    TEXT    NOT NULL,
    part     INTEGER NOT NULL,
    next     INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    PRIMARY KEY (stage, topic, part)
) STRICT;
CREATE TABLE journal_leases (
    name  TEXT    NOT NULL PRIMARY KEY,
    owner TEXT    NOT NULL,
    token INTEGER NOT NULL,
    until INTEGER NOT NULL
) STRICT;
-- Frames that a stage could not handle, with their bytes: trimming the journal
-- loses nothing.
CREATE TABLE journal_parked (
    stage    TEXT    NOT NULL,
    topic    TEXT    NOT NULL,
    part     INTEGER NOT NULL,
    pos      INTEGER NOT NULL,
    kind     INTEGER NOT NULL,
    tenant   TEXT    NOT NULL,
    source   TEXT    NOT NULL,
    received INTEGER NOT NULL,
    origin   BLOB,
    size     INTEGER NOT NULL,
    body     BLOB    NOT NULL,
    attempts INTEGER NOT NULL,
    error    TEXT    NOT NULL,
    parked   INTEGER NOT NULL,
    PRIMARY KEY (stage, topic, part, pos)
) STRICT;
