-- +goose Up
CREATE TABLE app_checkpoints (
  tenant TEXT NOT NULL,
  origin TEXT NOT NULL,
  size   BIGINT NOT NULL,
  root   BYTEA NOT NULL,
  PRIMARY KEY (tenant, origin)
);
