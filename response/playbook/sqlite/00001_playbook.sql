-- +goose Up
CREATE TABLE response_runs (
  tenant   TEXT NOT NULL,
  id       TEXT NOT NULL,
  incident TEXT NOT NULL,
  playbook TEXT NOT NULL,
  state    TEXT NOT NULL, -- proposed running done failed
  step     INTEGER NOT NULL,
  started  INTEGER NOT NULL,
  book     BLOB NOT NULL,   -- the playbook's exact bytes: a run never changes its plan
  PRIMARY KEY (tenant, id)
) STRICT;
CREATE UNIQUE INDEX response_runs_once ON response_runs (tenant, incident, playbook);

CREATE TABLE response_run_steps (
  tenant   TEXT NOT NULL,
  run      TEXT NOT NULL,
  step     INTEGER NOT NULL,
  state    TEXT NOT NULL, -- running done failed
  attempts INTEGER NOT NULL,
  deadline INTEGER NOT NULL,
  origin   TEXT NOT NULL, -- of the intent
  intent   INTEGER NOT NULL,
  detail   TEXT NOT NULL,
  PRIMARY KEY (tenant, run, step)
) STRICT;

-- +goose Down
DROP TABLE response_run_steps;
DROP TABLE response_runs;
