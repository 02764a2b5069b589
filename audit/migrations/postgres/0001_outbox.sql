-- +goose Up
-- Facts on their way into the audit log, numbered in the order of their
-- transactions.
CREATE TABLE audit_outbox (
    tenant TEXT   NOT NULL,
    number BIGINT NOT NULL,
    entry  BYTEA  NOT NULL,
    PRIMARY KEY (tenant, number)
);
CREATE TABLE audit_outbox_heads (
    tenant TEXT   NOT NULL PRIMARY KEY,
    last   BIGINT NOT NULL
);
