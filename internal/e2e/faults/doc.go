// Package faults tests what reaches clients while RabbitMQ, its nodes, or the
// links to them fail.
package faults
