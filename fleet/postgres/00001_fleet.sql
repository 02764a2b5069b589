-- +goose Up
CREATE TABLE fleet_devices (
  tenant         TEXT NOT NULL,
  id             TEXT NOT NULL,
  site           TEXT NOT NULL,
  identity       TEXT NOT NULL, -- pending active suspended retired
  spki           TEXT NOT NULL, -- SHA-256 of the management key, hex
  short_code     TEXT NOT NULL,
  protection     TEXT NOT NULL,
  serial         TEXT NOT NULL,
  token          TEXT NOT NULL,
  first_use      BIGINT NOT NULL,
  enrolled       BIGINT NOT NULL,
  revision       BIGINT NOT NULL,
  link           TEXT NOT NULL, -- online stale offline
  contained      BIGINT NOT NULL DEFAULT 0, -- since when, 0 while it is not
  certificate    BYTEA NOT NULL,   -- PEM chain, empty while pending
  csr            BYTEA NOT NULL,   -- as the device sent it
  order_counter  BIGINT NOT NULL DEFAULT 0, -- highest counter given to an order
  queued_counter BIGINT NOT NULL DEFAULT 0, -- highest counter that was queued
  queue_cursor   BIGINT NOT NULL DEFAULT 0, -- highest cursor of the stream
  -- what the device last said of itself, written by the fold alone
  last_seen      BIGINT NOT NULL DEFAULT 0,
  epoch          TEXT NOT NULL DEFAULT '',
  sequence       BIGINT NOT NULL DEFAULT 0,
  hash           TEXT NOT NULL DEFAULT '',
  state_counter  BIGINT NOT NULL DEFAULT 0,
  boot           TEXT NOT NULL DEFAULT '',
  policy_version BIGINT NOT NULL DEFAULT 0,
  root_version   BIGINT NOT NULL DEFAULT 0,
  log_size       BIGINT NOT NULL DEFAULT 0,
  log_root       TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (tenant, id)
);
CREATE INDEX fleet_devices_seen ON fleet_devices (link, last_seen);

CREATE TABLE fleet_epochs (
  tenant     TEXT NOT NULL,
  device     TEXT NOT NULL,
  epoch      TEXT NOT NULL,
  first_seen BIGINT NOT NULL,
  sequence   BIGINT NOT NULL,
  hash       TEXT NOT NULL,
  PRIMARY KEY (tenant, device, epoch)
);

CREATE TABLE fleet_sensors (
  tenant    TEXT NOT NULL,
  device    TEXT NOT NULL,
  sensor    TEXT NOT NULL,
  state     TEXT NOT NULL,
  since     BIGINT NOT NULL,
  simulated BIGINT NOT NULL,
  PRIMARY KEY (tenant, device, sensor)
);

CREATE TABLE fleet_latches (
  tenant    TEXT NOT NULL,
  device    TEXT NOT NULL,
  latch     TEXT NOT NULL,
  sensor    TEXT NOT NULL,
  type      TEXT NOT NULL,
  since     BIGINT NOT NULL,
  is_open   BIGINT NOT NULL,
  simulated BIGINT NOT NULL,
  PRIMARY KEY (tenant, device, latch)
);

CREATE TABLE fleet_tokens (
  tenant   TEXT NOT NULL,
  id       TEXT NOT NULL,
  hash     BYTEA NOT NULL,   -- SHA-256 of the secret; the secret is nowhere
  site     TEXT NOT NULL,
  device   TEXT NOT NULL, -- '' leaves the name to the person who approves
  fact     TEXT NOT NULL, -- SHA-256 of the one key that may use it, '' for none
  creator  TEXT NOT NULL,
  created  BIGINT NOT NULL,
  expires  BIGINT NOT NULL,
  state    TEXT NOT NULL, -- fresh used misused revoked
  used_by  TEXT NOT NULL DEFAULT '', -- device
  used_key TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX fleet_tokens_id ON fleet_tokens (id);

CREATE TABLE fleet_orders (
  tenant     TEXT NOT NULL,
  id         TEXT NOT NULL,
  device     TEXT NOT NULL,
  request    TEXT NOT NULL, -- idempotency key of the requester
  type       TEXT NOT NULL,
  state      TEXT NOT NULL,
  cursor     BIGINT NOT NULL DEFAULT 0,
  counter    BIGINT NOT NULL,
  expires    BIGINT NOT NULL,
  revision   BIGINT NOT NULL,
  created    BIGINT NOT NULL,
  payload    BYTEA NOT NULL, -- the exact bytes that are signed
  signatures BYTEA NOT NULL,
  body       BYTEA NOT NULL, -- the order as JSON, for reading
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX fleet_orders_request ON fleet_orders (tenant, request);
CREATE INDEX fleet_orders_stream ON fleet_orders (tenant, device, cursor);
CREATE INDEX fleet_orders_state ON fleet_orders (state, expires);

CREATE TABLE fleet_roots (
  tenant   TEXT NOT NULL,
  version  BIGINT NOT NULL,
  hash     TEXT NOT NULL,
  envelope BYTEA NOT NULL,
  proof    BYTEA NOT NULL,
  takes_effect BIGINT NOT NULL, -- later than stored for a recovery (F22)
  PRIMARY KEY (tenant, version)
);

CREATE TABLE fleet_alarms (
  tenant TEXT NOT NULL,
  id     TEXT NOT NULL,
  device TEXT NOT NULL,
  body   BYTEA NOT NULL, -- core.Event as JSON
  PRIMARY KEY (tenant, id)
);

-- +goose Down
DROP TABLE fleet_alarms;
DROP TABLE fleet_roots;
DROP TABLE fleet_orders;
DROP TABLE fleet_tokens;
DROP TABLE fleet_latches;
DROP TABLE fleet_sensors;
DROP TABLE fleet_epochs;
DROP TABLE fleet_devices;
