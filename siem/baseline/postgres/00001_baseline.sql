-- +goose Up
-- How much each log source usually sends, a row a source.
CREATE TABLE siem_baselines (
  part   BIGINT NOT NULL,
  tenant TEXT    NOT NULL,
  source TEXT    NOT NULL,
  body   BYTEA   NOT NULL,
  PRIMARY KEY (part, tenant, source)
);

-- +goose Down
DROP TABLE siem_baselines;
