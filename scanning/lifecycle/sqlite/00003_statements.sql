-- +goose Up
-- VEX documents of authors whose word counts, the newest edition of each, and what
-- they say of which name.
CREATE TABLE scanning_vex (
  tenant   TEXT   NOT NULL,
  document TEXT   NOT NULL, -- of author and the document's own name
  edition  TEXT   NOT NULL, -- hash of its bytes
  updated  BIGINT NOT NULL,
  body     BLOB NOT NULL,
  PRIMARY KEY (tenant, document)
);
CREATE TABLE scanning_statements (
  tenant   TEXT   NOT NULL,
  name     TEXT   NOT NULL,
  document TEXT   NOT NULL,
  number   BIGINT NOT NULL,
  body     BLOB NOT NULL,
  PRIMARY KEY (tenant, name, document, number)
);
CREATE INDEX scanning_statements_of ON scanning_statements (tenant, document);
CREATE INDEX scanning_findings_said ON scanning_findings (tenant, id) WHERE state = 'not-affected';

-- +goose Down
DROP INDEX scanning_findings_said;
DROP TABLE scanning_statements;
DROP TABLE scanning_vex;
