-- +goose Up
-- How many alerts there are by state and severity, so that a page of a list
-- needn't count a hundred thousand of them. Triggers keep it: no writer can
-- forget to.
CREATE TABLE siem_alert_counts (
  tenant        TEXT   NOT NULL,
  state         TEXT   NOT NULL,
  severity_rank BIGINT NOT NULL,
  n             BIGINT NOT NULL,
  PRIMARY KEY (tenant, state, severity_rank)
);
INSERT INTO siem_alert_counts (tenant, state, severity_rank, n) SELECT tenant, state, severity_rank, COUNT(*) FROM siem_alerts GROUP BY tenant, state, severity_rank;
-- +goose StatementBegin
CREATE FUNCTION siem_alert_count() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO siem_alert_counts AS c (tenant, state, severity_rank, n)
      SELECT tenant, state, severity_rank, COUNT(*) FROM fresh GROUP BY tenant, state, severity_rank
      ON CONFLICT (tenant, state, severity_rank) DO UPDATE SET n = c.n + excluded.n;
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO siem_alert_counts AS c (tenant, state, severity_rank, n)
      SELECT tenant, state, severity_rank, -COUNT(*) FROM stale GROUP BY tenant, state, severity_rank
      ON CONFLICT (tenant, state, severity_rank) DO UPDATE SET n = c.n + excluded.n;
  ELSE
    INSERT INTO siem_alert_counts AS c (tenant, state, severity_rank, n)
      SELECT tenant, state, severity_rank, SUM(d) FROM (
        SELECT tenant, state, severity_rank, 1 AS d FROM fresh UNION ALL SELECT tenant, state, severity_rank, -1 FROM stale
      ) moved GROUP BY tenant, state, severity_rank HAVING SUM(d) <> 0
      ON CONFLICT (tenant, state, severity_rank) DO UPDATE SET n = c.n + excluded.n;
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER siem_alert_counted AFTER INSERT ON siem_alerts REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION siem_alert_count();
CREATE TRIGGER siem_alert_recounted AFTER UPDATE ON siem_alerts REFERENCING OLD TABLE AS stale NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION siem_alert_count();
CREATE TRIGGER siem_alert_uncounted AFTER DELETE ON siem_alerts REFERENCING OLD TABLE AS stale FOR EACH STATEMENT EXECUTE FUNCTION siem_alert_count();

-- +goose Down
DROP TRIGGER siem_alert_uncounted ON siem_alerts;
DROP TRIGGER siem_alert_recounted ON siem_alerts;
DROP TRIGGER siem_alert_counted ON siem_alerts;
DROP FUNCTION siem_alert_count();
DROP TABLE siem_alert_counts;
