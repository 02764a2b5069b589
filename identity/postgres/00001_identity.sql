-- +goose Up
-- What is believed of people, passkeys, links, sessions and approvals, each as
-- the newest entry of the audit log says it. A cache: the log is the authority.
CREATE TABLE identity_records (
  tenant   TEXT NOT NULL,
  object   TEXT NOT NULL, -- person/anna, passkey/…, link/…, session/…, approval/…
  revision BIGINT NOT NULL,
  claim    BYTEA NOT NULL, -- JSON
  PRIMARY KEY (tenant, object)
);

-- When a session was last used, sealed under the host keyring.
CREATE TABLE identity_seen (
  tenant  TEXT NOT NULL,
  session TEXT NOT NULL,
  seen    BYTEA NOT NULL,
  PRIMARY KEY (tenant, session)
);

-- +goose Down
DROP TABLE identity_seen;
DROP TABLE identity_records;
