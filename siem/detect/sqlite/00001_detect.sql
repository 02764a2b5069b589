-- +goose Up
-- Rule sets that the journal has carried, by the hash of their files.
CREATE TABLE siem_rulesets (
  hash  TEXT    NOT NULL PRIMARY KEY,
  since INTEGER NOT NULL,
  body  BLOB    NOT NULL
) STRICT;

-- Which rule set is in force: for the detect stage of each partition, and for
-- the correlate stage as partition -1.
CREATE TABLE siem_ruleset_in_force (
  part INTEGER NOT NULL PRIMARY KEY,
  hash TEXT    NOT NULL
) STRICT;

-- How far each partition has been judged.
CREATE TABLE siem_watermarks (
  part INTEGER NOT NULL PRIMARY KEY,
  at   INTEGER NOT NULL
) STRICT;

-- What correlations remember, one row a group.
CREATE TABLE siem_windows (
  tenant    TEXT    NOT NULL,
  rule      TEXT    NOT NULL,
  grp       BLOB    NOT NULL, -- outside text: bytes, which may be anything
  simulated INTEGER NOT NULL,
  due       INTEGER NOT NULL,
  body      BLOB    NOT NULL,
  PRIMARY KEY (tenant, rule, grp, simulated)
) STRICT;
CREATE INDEX siem_windows_due ON siem_windows (due);

-- +goose Down
DROP TABLE siem_windows;
DROP TABLE siem_watermarks;
DROP TABLE siem_ruleset_in_force;
DROP TABLE siem_rulesets;
