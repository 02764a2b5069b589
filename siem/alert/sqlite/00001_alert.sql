-- +goose Up
CREATE TABLE siem_alerts (
  tenant        TEXT    NOT NULL,
  id            TEXT    NOT NULL,
  fingerprint   TEXT    NOT NULL,
  live          INTEGER NOT NULL, -- 1 for the one alert of its fingerprint that may still count up
  rule          TEXT    NOT NULL,
  severity_rank INTEGER NOT NULL,
  state         TEXT    NOT NULL,
  count         INTEGER NOT NULL,
  opened        INTEGER NOT NULL,
  updated       INTEGER NOT NULL,
  body          BLOB    NOT NULL, -- the alert as JSON
  PRIMARY KEY (tenant, id)
) STRICT;
CREATE UNIQUE INDEX siem_alerts_live ON siem_alerts (tenant, fingerprint) WHERE live = 1;
CREATE INDEX siem_alerts_updated ON siem_alerts (tenant, updated, id);

-- Which events an alert has counted: the last ones, so that an event that is
-- delivered again does not count again.
CREATE TABLE siem_alert_events (
  tenant  TEXT    NOT NULL,
  alert   TEXT    NOT NULL,
  event   TEXT    NOT NULL,
  ordinal INTEGER NOT NULL,
  at      INTEGER NOT NULL,
  source  TEXT    NOT NULL,
  PRIMARY KEY (tenant, alert, event)
) STRICT;
CREATE INDEX siem_alert_events_ordinal ON siem_alert_events (tenant, alert, ordinal);

-- +goose Down
DROP TABLE siem_alert_events;
DROP TABLE siem_alerts;
