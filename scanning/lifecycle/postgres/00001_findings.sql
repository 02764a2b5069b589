-- +goose Up
-- The findings, each as JSON with what lists are made by beside it.
CREATE TABLE scanning_findings (
  tenant     TEXT   NOT NULL,
  id         TEXT   NOT NULL,
  subject    TEXT   NOT NULL,
  state      TEXT   NOT NULL,
  is_open    BIGINT NOT NULL,
  severity   BIGINT NOT NULL, -- rank
  class      TEXT   NOT NULL,
  owner      TEXT   NOT NULL,
  package    TEXT   NOT NULL,
  priority   BIGINT NOT NULL,
  discovered BIGINT NOT NULL,
  due        BIGINT NOT NULL, -- 9223372036854775807 where nothing asks for it
  wakes      BIGINT NOT NULL, -- when time has something to do with it, 0 for never
  verified   BIGINT NOT NULL,
  exploited  BIGINT NOT NULL,
  original   TEXT   NOT NULL, -- of a duplicate
  words      TEXT   NOT NULL, -- what a text is looked for in, in lower case
  revision   BIGINT NOT NULL,
  body       BYTEA NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE INDEX scanning_findings_priority ON scanning_findings (tenant, is_open, priority, id);
CREATE INDEX scanning_findings_due ON scanning_findings (tenant, is_open, due, id);
CREATE INDEX scanning_findings_newest ON scanning_findings (tenant, discovered, id);
CREATE INDEX scanning_findings_subject ON scanning_findings (tenant, subject, is_open);
CREATE INDEX scanning_findings_wakes ON scanning_findings (tenant, wakes) WHERE wakes > 0;
CREATE INDEX scanning_findings_verified ON scanning_findings (tenant, verified) WHERE verified > 0;
CREATE INDEX scanning_findings_original ON scanning_findings (tenant, original) WHERE original <> '';

-- By what a finding is found again, and by what its advisory is called.
CREATE TABLE scanning_keys (
  tenant  TEXT NOT NULL,
  subject TEXT NOT NULL,
  key     TEXT NOT NULL,
  finding TEXT NOT NULL,
  PRIMARY KEY (tenant, subject, key)
);
CREATE TABLE scanning_names (
  tenant  TEXT NOT NULL,
  name    TEXT NOT NULL,
  finding TEXT NOT NULL,
  PRIMARY KEY (tenant, name, finding)
);

-- What each detector last said of a finding on each scope.
CREATE TABLE scanning_sightings (
  tenant  TEXT   NOT NULL,
  finding TEXT   NOT NULL,
  tool    TEXT   NOT NULL,
  kind    TEXT   NOT NULL,
  scope   TEXT   NOT NULL,
  present BIGINT NOT NULL,
  body    BYTEA NOT NULL,
  PRIMARY KEY (tenant, finding, tool, kind, scope)
);
CREATE INDEX scanning_sightings_of ON scanning_sightings (tenant, tool, kind, scope);

-- The timeline: rows are added and never changed. opens is 1 where the finding
-- was opened, -1 where it was closed.
CREATE TABLE scanning_events (
  tenant   TEXT   NOT NULL,
  finding  TEXT   NOT NULL,
  revision BIGINT NOT NULL,
  at       BIGINT NOT NULL,
  opens    BIGINT NOT NULL,
  body     BYTEA NOT NULL,
  PRIMARY KEY (tenant, finding, revision)
);
CREATE INDEX scanning_events_opens ON scanning_events (tenant, at) WHERE opens <> 0;

-- The reports that were taken in, by their hash.
CREATE TABLE scanning_reports (
  tenant   TEXT   NOT NULL,
  hash     TEXT   NOT NULL,
  subject  TEXT   NOT NULL,
  tool     TEXT   NOT NULL,
  kind     TEXT   NOT NULL,
  scope    TEXT   NOT NULL,
  started  BIGINT NOT NULL,
  received BIGINT NOT NULL,
  body     BYTEA NOT NULL,
  PRIMARY KEY (tenant, hash)
);
CREATE INDEX scanning_reports_newest ON scanning_reports (tenant, subject, tool, kind, scope, started);

-- What became known about advisories: rows are added and never changed.
CREATE TABLE scanning_facts (
  tenant   TEXT   NOT NULL,
  advisory TEXT   NOT NULL,
  number   BIGINT NOT NULL,
  body     BYTEA NOT NULL,
  PRIMARY KEY (tenant, advisory, number)
);

-- Who looks after what: the text as people wrote it, the last is in force.
CREATE TABLE scanning_owners (
  tenant   TEXT   NOT NULL,
  revision BIGINT NOT NULL,
  body     BYTEA NOT NULL,
  PRIMARY KEY (tenant, revision)
);

-- Inventories. A component is a package in one version, numbered so that a
-- document, whose components are the same for many subjects, is a short row.
CREATE TABLE scanning_components (
  tenant    TEXT   NOT NULL,
  number    BIGINT NOT NULL,
  hash      TEXT   NOT NULL,
  body      BYTEA NOT NULL,
  PRIMARY KEY (tenant, number)
);
CREATE UNIQUE INDEX scanning_components_hash ON scanning_components (tenant, hash);
-- The names by which advisories know a component.
CREATE TABLE scanning_component_keys (
  tenant TEXT   NOT NULL,
  key    TEXT   NOT NULL,
  number BIGINT NOT NULL,
  PRIMARY KEY (tenant, key, number)
);
CREATE TABLE scanning_documents (
  tenant     TEXT   NOT NULL,
  number     BIGINT NOT NULL,
  hash       TEXT   NOT NULL,
  components BYTEA NOT NULL, -- their numbers, ascending, as differences
  PRIMARY KEY (tenant, number)
);
CREATE UNIQUE INDEX scanning_documents_hash ON scanning_documents (tenant, hash);
-- What each subject had from when on; ended is 0 for what it has now.
CREATE TABLE scanning_held (
  tenant   TEXT   NOT NULL,
  subject  TEXT   NOT NULL,
  since    BIGINT NOT NULL,
  document BIGINT NOT NULL,
  seen     BIGINT NOT NULL,
  ended    BIGINT NOT NULL,
  PRIMARY KEY (tenant, subject, since)
);
CREATE INDEX scanning_held_document ON scanning_held (tenant, document);
CREATE TABLE scanning_campaigns (
  tenant  TEXT   NOT NULL,
  id      TEXT   NOT NULL,
  created BIGINT NOT NULL,
  body    BYTEA NOT NULL,
  PRIMARY KEY (tenant, id)
);

-- How far a work that goes over everything has come, by its name.
CREATE TABLE scanning_marks (
  tenant TEXT NOT NULL,
  name   TEXT NOT NULL,
  value  TEXT NOT NULL,
  PRIMARY KEY (tenant, name)
);

-- +goose Down
DROP TABLE scanning_marks;
DROP TABLE scanning_campaigns;
DROP TABLE scanning_held;
DROP TABLE scanning_documents;
DROP TABLE scanning_component_keys;
DROP TABLE scanning_components;
DROP TABLE scanning_owners;
DROP TABLE scanning_facts;
DROP TABLE scanning_reports;
DROP TABLE scanning_events;
DROP TABLE scanning_sightings;
DROP TABLE scanning_names;
DROP TABLE scanning_keys;
DROP TABLE scanning_findings;
