-- +goose Up
CREATE TABLE jobs (
    tenant   TEXT    NOT NULL,
    kind     TEXT    NOT NULL,
    key      TEXT    NOT NULL,
    state    TEXT    NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'failed', 'uncertain')),
    run_at   INTEGER NOT NULL,
    attempt  INTEGER NOT NULL,
    token    INTEGER NOT NULL, -- rises with every claim; only the newest may report
    owner    TEXT    NOT NULL,
    until    INTEGER NOT NULL, -- when the claim runs out
    payload  BLOB    NOT NULL,
    error    TEXT    NOT NULL,
    changed  INTEGER NOT NULL,
    PRIMARY KEY (tenant, kind, key)
) STRICT;
CREATE INDEX jobs_due ON jobs (state, run_at);
