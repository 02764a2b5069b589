-- +goose Up
-- What was changed about single rules, by the rule's or the filter's id: a cache
-- of the audit log, and what makes a change and its entry durable together.
CREATE TABLE siem_tuning (
  tenant   TEXT    NOT NULL,
  object   TEXT    NOT NULL,
  revision INTEGER NOT NULL,
  claim    BLOB    NOT NULL,
  warned   INTEGER NOT NULL, -- until when it lasts, as people were told before its end; 0 for not yet
  PRIMARY KEY (tenant, object)
) STRICT;

-- What back-tests showed, by the hash of it: only what was shown comes into force.
CREATE TABLE siem_trials (
  tenant TEXT    NOT NULL,
  hash   TEXT    NOT NULL,
  made   INTEGER NOT NULL,
  body   BLOB    NOT NULL,
  PRIMARY KEY (tenant, hash)
) STRICT;

-- +goose Down
DROP TABLE siem_trials;
DROP TABLE siem_tuning;
