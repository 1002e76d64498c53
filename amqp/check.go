package amqp

import (
	"hash/crc32"

	"github.com/rabbitmq/amqp091-go"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum tells messages apart that were at the same offset of a stream, at
// different times: the CRC-32C of message id, routing key and body, with a NUL
// between them; 1 for 0. (docs/delivery.md promises it.)
func checksum(d *amqp091.Delivery) uint32 {
	var buf [512]byte // two short strings
	b := append(append(append(append(buf[:0], d.MessageId...), 0), d.RoutingKey...), 0)
	sum := crc32.Update(crc32.Checksum(b, castagnoli), castagnoli, d.Body)
	return max(sum, 1)
}
