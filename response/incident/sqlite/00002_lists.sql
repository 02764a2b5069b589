-- +goose Up
-- Lists are read by page. simulated and ended are what a board asks for: when
-- the last real incident was over.
ALTER TABLE response_incidents ADD COLUMN simulated BIGINT NOT NULL DEFAULT 0;
ALTER TABLE response_incidents ADD COLUMN ended BIGINT NOT NULL DEFAULT 0; -- 0 while it is open
UPDATE response_incidents SET simulated = COALESCE(json_extract(CAST(body AS TEXT), '$.simulated'), 0),
  ended = CASE WHEN is_open = 1 THEN 0 ELSE CAST(unixepoch(COALESCE(json_extract(CAST(body AS TEXT), '$.stamps.closed'), json_extract(CAST(body AS TEXT), '$.stamps.detected'))) AS INTEGER) * 1000000 END;
CREATE INDEX response_incidents_list ON response_incidents (tenant, is_open, detected, id);
CREATE INDEX response_incidents_state ON response_incidents (tenant, state, detected, id);
CREATE INDEX response_incidents_subject ON response_incidents (tenant, subject, detected, id);
CREATE INDEX response_incidents_quiet ON response_incidents (tenant, simulated, is_open, ended, state);

-- +goose Down
DROP INDEX response_incidents_quiet;
DROP INDEX response_incidents_subject;
DROP INDEX response_incidents_state;
DROP INDEX response_incidents_list;
ALTER TABLE response_incidents DROP COLUMN ended;
ALTER TABLE response_incidents DROP COLUMN simulated;
