// Package action is the only way from people and playbooks to the fleet's
// orders. It asks the Guard first, about exactly the device that the order will
// name, and hands the durable intent on; an order without one is not made.
//
// It stands between response/playbook and the API on one side and fleet on the
// other.
package action
