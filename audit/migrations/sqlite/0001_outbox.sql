-- +goose Up
-- Facts on their way into the audit log, numbered in the order of their
-- transactions.
CREATE TABLE audit_outbox (
    tenant TEXT    NOT NULL,
    number INTEGER NOT NULL,
    entry  BLOB    NOT NULL,
    PRIMARY KEY (tenant, number)
) STRICT;
CREATE TABLE audit_outbox_heads (
    tenant TEXT    NOT NULL PRIMARY KEY,
    last   INTEGER NOT NULL
) STRICT;
