-- +goose Up
-- How many alerts there are by state and severity, so that a page of a list
-- needn't count a hundred thousand of them. Triggers keep it: no writer can
-- forget to.
CREATE TABLE siem_alert_counts (
  tenant        TEXT    NOT NULL,
  state         TEXT    NOT NULL,
  severity_rank INTEGER NOT NULL,
  n             INTEGER NOT NULL,
  PRIMARY KEY (tenant, state, severity_rank)
) STRICT;
INSERT INTO siem_alert_counts (tenant, state, severity_rank, n) SELECT tenant, state, severity_rank, COUNT(*) FROM siem_alerts GROUP BY tenant, state, severity_rank;
-- +goose StatementBegin
CREATE TRIGGER siem_alert_counted AFTER INSERT ON siem_alerts BEGIN
  INSERT INTO siem_alert_counts (tenant, state, severity_rank, n) VALUES (NEW.tenant, NEW.state, NEW.severity_rank, 1)
    ON CONFLICT (tenant, state, severity_rank) DO UPDATE SET n = n + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER siem_alert_recounted AFTER UPDATE ON siem_alerts WHEN OLD.state <> NEW.state OR OLD.severity_rank <> NEW.severity_rank BEGIN
  UPDATE siem_alert_counts SET n = n - 1 WHERE tenant = OLD.tenant AND state = OLD.state AND severity_rank = OLD.severity_rank;
  INSERT INTO siem_alert_counts (tenant, state, severity_rank, n) VALUES (NEW.tenant, NEW.state, NEW.severity_rank, 1)
    ON CONFLICT (tenant, state, severity_rank) DO UPDATE SET n = n + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER siem_alert_uncounted AFTER DELETE ON siem_alerts BEGIN
  UPDATE siem_alert_counts SET n = n - 1 WHERE tenant = OLD.tenant AND state = OLD.state AND severity_rank = OLD.severity_rank;
END;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER siem_alert_uncounted;
DROP TRIGGER siem_alert_recounted;
DROP TRIGGER siem_alert_counted;
DROP TABLE siem_alert_counts;
