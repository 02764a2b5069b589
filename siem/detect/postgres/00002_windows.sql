-- +goose Up
-- Correlations are kept in memory now and their rows are written as they change,
-- in a form that holds every type of correlation. What was in the windows at the
-- moment of the upgrade is not carried over: every count begins anew, once.
-- Alerts that were raised stay as they are.
DELETE FROM siem_windows;
DROP INDEX siem_windows_due;

-- +goose Down
DELETE FROM siem_windows;
CREATE INDEX siem_windows_due ON siem_windows (due);
