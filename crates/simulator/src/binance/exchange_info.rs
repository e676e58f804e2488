//! `GET /api/v3/exchangeInfo`: the part of the real shape that describes what is simulated.

use serde_json::{Value, json};

use crate::market::{Instrument, PriceOrigin};

/// The answer for some symbols.
pub(super) fn describe(instruments: &[&Instrument], weight_per_minute: u32, now_ms: i64) -> Value {
    json!({
        "timezone": "UTC",
        "serverTime": now_ms,
        "rateLimits": [
            { "rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": weight_per_minute },
        ],
        "exchangeFilters": [],
        "symbols": instruments.iter().map(|instrument| symbol(instrument)).collect::<Vec<_>>(),
    })
}

fn symbol(instrument: &Instrument) -> Value {
    let mut symbol = json!({
        "symbol": instrument.symbol,
        "status": "TRADING",
        "baseAsset": instrument.base,
        "baseAssetPrecision": 8,
        "quoteAsset": instrument.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        // No order can be placed here.
        "orderTypes": [],
        "icebergAllowed": false,
        "ocoAllowed": false,
        "otoAllowed": false,
        "opoAllowed": false,
        "quoteOrderQtyMarketAllowed": false,
        "allowTrailingStop": false,
        "cancelReplaceAllowed": false,
        "amendAllowed": false,
        "pegInstructionsAllowed": false,
        "isSpotTradingAllowed": false,
        "isMarginTradingAllowed": false,
        "filters": [
            { "filterType": "PRICE_FILTER", "minPrice": "0.01000000", "maxPrice": "1000000.00000000", "tickSize": "0.01000000" },
            { "filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000" },
        ],
        "permissions": [],
        "permissionSets": [],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    });
    // A field the real exchange does not have, so that nobody takes these prices for a market's.
    let origin = match instrument.origin {
        PriceOrigin::RecordedMonth => "SIMULATED: replay of a BTC perpetual future, January 2022",
        PriceOrigin::SeededRandomWalk => "SIMULATED: seeded random walk",
    };
    if let Some(fields) = symbol.as_object_mut() {
        fields.insert("simulatedFrom".to_owned(), Value::from(origin));
    }
    symbol
}
