-- +goose Up
CREATE TABLE response_incidents (
  tenant   TEXT NOT NULL,
  id       TEXT NOT NULL,
  subject  TEXT NOT NULL,
  family   TEXT NOT NULL,
  trusted  BIGINT NOT NULL, -- 1: every alert came from an authenticated peer
  state    TEXT NOT NULL,
  is_open  BIGINT NOT NULL,
  revision BIGINT NOT NULL,
  detected BIGINT NOT NULL,
  body     BYTEA NOT NULL, -- the incident as JSON
  PRIMARY KEY (tenant, id)
);
-- One open incident for each thing under attack and kind of attack. Evidence
-- from strangers never joins, and so never weakens, what peers have proved.
CREATE UNIQUE INDEX response_incidents_open ON response_incidents (tenant, subject, family, trusted) WHERE is_open = 1;
CREATE INDEX response_incidents_recent ON response_incidents (tenant, detected, id);

CREATE TABLE response_incident_alerts (
  tenant   TEXT NOT NULL,
  alert    TEXT NOT NULL,
  incident TEXT NOT NULL,
  body     BYTEA NOT NULL,
  PRIMARY KEY (tenant, alert)
);
CREATE INDEX response_incident_alerts_of ON response_incident_alerts (tenant, incident);

CREATE TABLE response_timeline (
  tenant      TEXT NOT NULL,
  incident    TEXT NOT NULL,
  revision    BIGINT NOT NULL,
  body        BYTEA NOT NULL, -- the step as JSON
  fact_origin TEXT NOT NULL DEFAULT '',
  fact_index  BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, incident, revision)
);

-- +goose Down
DROP TABLE response_timeline;
DROP TABLE response_incident_alerts;
DROP TABLE response_incidents;
