-- +goose Up
CREATE TABLE response_runs (
  tenant   TEXT NOT NULL,
  id       TEXT NOT NULL,
  incident TEXT NOT NULL,
  playbook TEXT NOT NULL,
  state    TEXT NOT NULL, -- proposed running done failed stopped
  round    BIGINT NOT NULL, -- rises each time that it is started
  step     BIGINT NOT NULL,
  attempt  BIGINT NOT NULL, -- at this step in this round
  begun    BIGINT NOT NULL, -- 1 once the incident was taken into the step
  deadline BIGINT NOT NULL, -- of the step
  origin   TEXT NOT NULL, -- of the intent to move the incident in this step
  intent   BIGINT NOT NULL,
  started  BIGINT NOT NULL,
  starter  TEXT NOT NULL, -- the person who started it; '' where it started by itself
  book     BYTEA NOT NULL, -- the playbook's exact bytes: a run never changes its plan
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX response_runs_once ON response_runs (tenant, incident, playbook);

CREATE TABLE response_run_steps (
  tenant  TEXT NOT NULL,
  run     TEXT NOT NULL,
  round   BIGINT NOT NULL,
  step    BIGINT NOT NULL,
  attempt BIGINT NOT NULL,
  state   TEXT NOT NULL, -- running done failed
  began   BIGINT NOT NULL,
  ended   BIGINT NOT NULL, -- 0 while it runs
  detail  TEXT NOT NULL,
  PRIMARY KEY (tenant, run, round, step, attempt)
);

-- +goose Down
DROP TABLE response_run_steps;
DROP TABLE response_runs;
