-- +goose Up
CREATE TABLE response_runs (
  tenant   TEXT NOT NULL,
  id       TEXT NOT NULL,
  incident TEXT NOT NULL,
  playbook TEXT NOT NULL,
  state    TEXT NOT NULL, -- proposed running done failed stopped
  round    INTEGER NOT NULL, -- rises each time that it is started
  step     INTEGER NOT NULL,
  attempt  INTEGER NOT NULL, -- at this step in this round
  begun    INTEGER NOT NULL, -- 1 once the incident was taken into the step
  deadline INTEGER NOT NULL, -- of the step
  origin   TEXT NOT NULL, -- of the intent to move the incident in this step
  intent   INTEGER NOT NULL,
  started  INTEGER NOT NULL,
  starter  TEXT NOT NULL, -- the person who started it; '' where it started by itself
  book     BLOB NOT NULL, -- the playbook's exact bytes: a run never changes its plan
  PRIMARY KEY (tenant, id)
) STRICT;
CREATE UNIQUE INDEX response_runs_once ON response_runs (tenant, incident, playbook);

CREATE TABLE response_run_steps (
  tenant  TEXT NOT NULL,
  run     TEXT NOT NULL,
  round   INTEGER NOT NULL,
  step    INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  state   TEXT NOT NULL, -- running done failed
  began   INTEGER NOT NULL,
  ended   INTEGER NOT NULL, -- 0 while it runs
  detail  TEXT NOT NULL,
  PRIMARY KEY (tenant, run, round, step, attempt)
) STRICT;

-- +goose Down
DROP TABLE response_run_steps;
DROP TABLE response_runs;
