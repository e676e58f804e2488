//! signal-service: TradingView webhooks in, signals out.
