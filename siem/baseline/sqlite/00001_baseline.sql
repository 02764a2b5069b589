-- +goose Up
-- How much each log source usually sends, a row a source.
CREATE TABLE siem_baselines (
  part   INTEGER NOT NULL,
  tenant TEXT    NOT NULL,
  source TEXT    NOT NULL,
  body   BLOB    NOT NULL,
  PRIMARY KEY (part, tenant, source)
) STRICT;

-- +goose Down
DROP TABLE siem_baselines;
