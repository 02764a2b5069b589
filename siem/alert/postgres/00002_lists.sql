-- +goose Up
-- Lists are read by page, each narrowing with the order of the list behind it.
ALTER TABLE siem_alerts ADD COLUMN device TEXT NOT NULL DEFAULT '';
UPDATE siem_alerts SET device = COALESCE(convert_from(body, 'UTF8')::json ->> 'device', '');
DROP INDEX siem_alerts_updated;
CREATE INDEX siem_alerts_recent ON siem_alerts (tenant, updated, id);
CREATE INDEX siem_alerts_state ON siem_alerts (tenant, state, updated, id);
CREATE INDEX siem_alerts_severity ON siem_alerts (tenant, state, severity_rank, updated, id);
CREATE INDEX siem_alerts_device ON siem_alerts (tenant, device, updated, id, state, severity_rank);
CREATE INDEX siem_alerts_rule ON siem_alerts (tenant, rule, updated, id, state, severity_rank);

-- +goose Down
DROP INDEX siem_alerts_rule;
DROP INDEX siem_alerts_device;
DROP INDEX siem_alerts_severity;
DROP INDEX siem_alerts_state;
DROP INDEX siem_alerts_recent;
CREATE INDEX siem_alerts_updated ON siem_alerts (tenant, updated, id);
ALTER TABLE siem_alerts DROP COLUMN device;
