-- +goose Up
CREATE TABLE response_runs (
  tenant   TEXT NOT NULL,
  id       TEXT NOT NULL,
  incident TEXT NOT NULL,
  playbook TEXT NOT NULL,
  state    TEXT NOT NULL, -- proposed running done failed
  step     BIGINT NOT NULL,
  started  BIGINT NOT NULL,
  book     BYTEA NOT NULL,   -- the playbook's exact bytes: a run never changes its plan
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX response_runs_once ON response_runs (tenant, incident, playbook);

CREATE TABLE response_run_steps (
  tenant   TEXT NOT NULL,
  run      TEXT NOT NULL,
  step     BIGINT NOT NULL,
  state    TEXT NOT NULL, -- running done failed
  attempts BIGINT NOT NULL,
  deadline BIGINT NOT NULL,
  origin   TEXT NOT NULL, -- of the intent
  intent   BIGINT NOT NULL,
  detail   TEXT NOT NULL,
  PRIMARY KEY (tenant, run, step)
);

-- +goose Down
DROP TABLE response_run_steps;
DROP TABLE response_runs;
