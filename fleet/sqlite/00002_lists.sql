-- +goose Up
-- Lists are read by page, each narrowing with the order of the list behind it.
CREATE INDEX fleet_orders_recent ON fleet_orders (tenant, created, id);
CREATE INDEX fleet_orders_of_state ON fleet_orders (tenant, state, created, id);
CREATE INDEX fleet_orders_of_device ON fleet_orders (tenant, device, created, id);
CREATE INDEX fleet_sensors_not_ok ON fleet_sensors (tenant, since) WHERE state <> 'ok';
CREATE INDEX fleet_latches_open ON fleet_latches (tenant, device) WHERE is_open = 1;

-- +goose Down
DROP INDEX fleet_latches_open;
DROP INDEX fleet_sensors_not_ok;
DROP INDEX fleet_orders_of_device;
DROP INDEX fleet_orders_of_state;
DROP INDEX fleet_orders_recent;
