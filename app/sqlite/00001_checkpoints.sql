-- +goose Up
CREATE TABLE app_checkpoints (
  tenant TEXT NOT NULL,
  origin TEXT NOT NULL,
  size   INTEGER NOT NULL,
  root   BLOB NOT NULL,
  PRIMARY KEY (tenant, origin)
) STRICT;
