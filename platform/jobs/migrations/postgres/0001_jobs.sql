-- +goose Up
CREATE TABLE jobs (
    tenant   TEXT    NOT NULL,
    kind     TEXT    NOT NULL,
    key      TEXT    NOT NULL,
    state    TEXT    NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'failed', 'uncertain')),
    run_at   BIGINT  NOT NULL,
    attempt  BIGINT  NOT NULL,
    token    BIGINT  NOT NULL, -- rises with every claim; only the newest may report
    owner    TEXT    NOT NULL,
    until    BIGINT  NOT NULL, -- when the claim runs out
    payload  BYTEA    NOT NULL,
    error    TEXT    NOT NULL,
    changed  BIGINT  NOT NULL,
    PRIMARY KEY (tenant, kind, key)
);
CREATE INDEX jobs_due ON jobs (state, run_at);
