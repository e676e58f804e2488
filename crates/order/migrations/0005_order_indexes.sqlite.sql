-- What each new order asks for while nobody else can make one: none of it may take longer as orders become more.

DROP INDEX trade_orders_by_time;
DROP INDEX trade_orders_by_sending;

-- How many were made, or sent again, in the last minute: read from the index alone.
CREATE INDEX trade_orders_by_going ON trade_orders (mode, COALESCE(sent_at, created_at), id);

-- What of a symbol is not at its end.
CREATE INDEX trade_orders_open_by_symbol ON trade_orders (mode, symbol, side)
    WHERE status IN ('new', 'submitted', 'partially_filled', 'unknown');
