-- +goose Up
-- What people put on a machine, and what they found when they looked again.
CREATE TABLE fleet_seals (
  tenant      TEXT NOT NULL,
  id          TEXT NOT NULL, -- the serial that is printed on the seal
  kind        TEXT NOT NULL,
  device      TEXT NOT NULL,
  site        TEXT NOT NULL,
  place       TEXT NOT NULL,
  sensor      TEXT NOT NULL, -- of an electronic seal, '' for the others
  photo       TEXT NOT NULL, -- fleet_photos.hash
  applied     BIGINT NOT NULL,
  applied_by  TEXT NOT NULL,
  every_days  BIGINT NOT NULL,
  state       TEXT NOT NULL, -- intact broken missing mismatch removed replaced
  due         BIGINT NOT NULL,
  overdue     BIGINT NOT NULL DEFAULT 0, -- since when that is told, 0 while it is not
  inspected   BIGINT NOT NULL DEFAULT 0,
  ended       BIGINT NOT NULL DEFAULT 0,
  ended_by    TEXT NOT NULL DEFAULT '',
  reason      TEXT NOT NULL DEFAULT '',
  replaced_by TEXT NOT NULL DEFAULT '',
  replaces    TEXT NOT NULL DEFAULT '',
  revision    BIGINT NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE INDEX fleet_seals_of_device ON fleet_seals (tenant, device, id);
CREATE INDEX fleet_seals_due ON fleet_seals (due) WHERE overdue = 0 AND state = 'intact';

CREATE TABLE fleet_seal_inspections (
  tenant TEXT NOT NULL,
  id     TEXT NOT NULL,
  seal   TEXT NOT NULL,
  at     BIGINT NOT NULL,
  person TEXT NOT NULL,
  result TEXT NOT NULL, -- ok broken missing mismatch
  photo  TEXT NOT NULL, -- '' where the seal is missing
  note   TEXT NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE INDEX fleet_seal_inspections_of_seal ON fleet_seal_inspections (tenant, seal, at);

CREATE TABLE fleet_photos (
  tenant   TEXT NOT NULL,
  hash     TEXT NOT NULL, -- SHA-256 of the photo as it came, hex
  type     TEXT NOT NULL, -- image/jpeg image/png
  width    BIGINT NOT NULL,
  height   BIGINT NOT NULL,
  size     BIGINT NOT NULL,
  added    BIGINT NOT NULL,
  added_by TEXT NOT NULL,
  used     BIGINT NOT NULL DEFAULT 0,
  body     BLOB NOT NULL, -- sealed by the host keyring
  PRIMARY KEY (tenant, hash)
);
CREATE INDEX fleet_photos_unused ON fleet_photos (added) WHERE used = 0;

-- What a device last reported of itself, whole, written by the fold alone.
CREATE TABLE fleet_reports (
  tenant    TEXT NOT NULL,
  device    TEXT NOT NULL,
  kind      TEXT NOT NULL, -- status doctor
  at        BIGINT NOT NULL, -- as the device says
  received  BIGINT NOT NULL,
  simulated BIGINT NOT NULL,
  body      BLOB NOT NULL, -- the event's fields
  PRIMARY KEY (tenant, device, kind)
);

-- Walk tests: the last one reported, and every one that a person signed off.
CREATE TABLE fleet_walk_tests (
  tenant    TEXT NOT NULL,
  device    TEXT NOT NULL,
  hash      TEXT NOT NULL, -- SHA-256 of the body, hex
  at        BIGINT NOT NULL,
  received  BIGINT NOT NULL,
  simulated BIGINT NOT NULL,
  body      BLOB NOT NULL,
  signed    BIGINT NOT NULL DEFAULT 0,
  signed_by TEXT NOT NULL DEFAULT '',
  note      TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (tenant, device, hash)
);
CREATE INDEX fleet_walk_tests_newest ON fleet_walk_tests (tenant, device, received);

-- How much depends on a device, as people say.
CREATE TABLE fleet_assets (
  tenant      TEXT NOT NULL,
  device      TEXT NOT NULL,
  criticality TEXT NOT NULL, -- low medium high critical
  set_by      TEXT NOT NULL,
  set_at      BIGINT NOT NULL,
  reason      TEXT NOT NULL,
  PRIMARY KEY (tenant, device)
);

-- +goose Down
DROP TABLE fleet_assets;
DROP TABLE fleet_walk_tests;
DROP TABLE fleet_reports;
DROP TABLE fleet_photos;
DROP TABLE fleet_seal_inspections;
DROP TABLE fleet_seals;
