// Package e2e tests whole nodes: processes of cmd/warren, with real RabbitMQ
// behind them and WebSocket clients in front.
package e2e
