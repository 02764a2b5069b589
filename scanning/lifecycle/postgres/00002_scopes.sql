-- +goose Up
-- What each scope of a subject had from when on; ended is 0 for what it has now.
-- seen is when that was last taken, whole when it was last taken without gaps, and
-- matched which advisories it was last held against ('' for none).
CREATE TABLE scanning_inventories (
  tenant   TEXT   NOT NULL,
  subject  TEXT   NOT NULL,
  scope    TEXT   NOT NULL,
  since    BIGINT NOT NULL,
  document BIGINT NOT NULL,
  seen     BIGINT NOT NULL,
  whole    BIGINT NOT NULL,
  ended    BIGINT NOT NULL,
  matched  TEXT   NOT NULL,
  PRIMARY KEY (tenant, subject, scope, since)
);
INSERT INTO scanning_inventories (tenant, subject, scope, since, document, seen, whole, ended, matched)
  SELECT tenant, subject, '', since, document, seen, seen, ended, '' FROM scanning_held;
DROP TABLE scanning_held;
CREATE INDEX scanning_inventories_document ON scanning_inventories (tenant, document);
CREATE INDEX scanning_inventories_behind ON scanning_inventories (tenant, matched, document) WHERE ended = 0;

-- By which lists (KEV, EPSS) a name was last looked up.
ALTER TABLE scanning_names ADD COLUMN listed TEXT NOT NULL DEFAULT '';
CREATE INDEX scanning_names_behind ON scanning_names (tenant, listed, name);

-- How far is known row by row.
DROP TABLE scanning_marks;

-- +goose Down
CREATE TABLE scanning_marks (
  tenant TEXT NOT NULL,
  name   TEXT NOT NULL,
  value  TEXT NOT NULL,
  PRIMARY KEY (tenant, name)
);
DROP INDEX scanning_names_behind;
ALTER TABLE scanning_names DROP COLUMN listed;
CREATE TABLE scanning_held (
  tenant   TEXT   NOT NULL,
  subject  TEXT   NOT NULL,
  since    BIGINT NOT NULL,
  document BIGINT NOT NULL,
  seen     BIGINT NOT NULL,
  ended    BIGINT NOT NULL,
  PRIMARY KEY (tenant, subject, since)
);
INSERT INTO scanning_held (tenant, subject, since, document, seen, ended)
  SELECT tenant, subject, since, document, seen, ended FROM scanning_inventories WHERE scope = '';
CREATE INDEX scanning_held_document ON scanning_held (tenant, document);
DROP TABLE scanning_inventories;
