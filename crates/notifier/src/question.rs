//! From a text in words to what its writer wants. Pure, total and bounded: any text gives an intent.

use domain::trading::TradingState;
use domain::{DecisionId, Interval, Symbol};

use crate::names::{Emphasis, Vocabulary};

/// The button of the Telegram keyboard (spec A3). Its text is an ordinary message to the bot.
pub const BUTTON_TEXT: &str = "What should I do with crypto?";

/// Most symbols in one ask.
pub const MAX_SYMBOLS: usize = 10;

/// Characters of a text that are read; the rest cannot be a question.
const MAX_CHARS: usize = 500;

/// The bot's commands, as Telegram lists them. Every one is listed: the list is how people learn of them.
pub const COMMANDS: [(&str, &str); 13] = [
    ("ask", "What should I do? /ask BTC, /ask btc eth"),
    ("status", "How trading stands, and its limits"),
    ("balance", "The account and its positions"),
    ("profit", "What trading brought, by symbol"),
    ("daily", "What each of the last days brought"),
    ("orders", "The newest orders"),
    ("why", "Why the last order or decision; /why ID, or as a reply"),
    ("chart", "A chart: /chart BTC, /chart BTC 5m"),
    ("pause", "Trade only what makes positions smaller; /pause REASON"),
    ("stop", "Stop all trading at once; /stop REASON"),
    ("resume", "Let trading go on; /resume REASON"),
    ("help", "How to ask"),
    ("start", "Show the button"),
];

/// A command about trading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// How trading stands.
    Status,
    /// The account.
    Balance,
    /// What trading brought.
    Profit,
    /// What each day brought.
    Daily,
    /// The newest orders.
    Orders,
    /// Let trading go on, or not; with the reason that was given.
    Set(TradingState, Option<String>),
    /// Why an order or a decision; without an id, the last one or the one replied to.
    Why(WhyOf),
    /// A picture of a symbol's prices, in candles of this length; of the shortest where none is said.
    Chart(Option<Symbol>, Option<Interval>),
    /// The same in candles of a length that there is not.
    ChartOfNoInterval,
}

/// What somebody asks why of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhyOf {
    /// The last one, or the one that is replied to.
    Latest,
    /// This one.
    Id(DecisionId),
    /// A word that is no id.
    Unreadable,
}

/// Characters of a reason that are kept.
const MAX_REASON_CHARS: usize = 200;

/// What a text asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intent {
    /// `/start`: greet and show the keyboard.
    Start,
    /// `/help`, `help`.
    Help,
    /// A command about trading.
    Command(Command),
    /// What to do about crypto, no symbol named.
    AskDefault,
    /// What to do about these, one or more, each once, in the order they were named.
    Ask(Vec<Symbol>),
    /// More symbols than [`MAX_SYMBOLS`].
    TooMany {
        /// How many were named.
        named: usize,
    },
    /// Nothing that is understood.
    Unknown,
}

/// Words between the items of a list.
const JOINING_WORDS: [&str; 4] = ["and", "or", "vs", "plus"];

/// Words before a coin that is not asked about: "not btc but eth".
const LEAVING_OUT: [&str; 4] = ["not", "except", "without", "excluding"];

/// Phrases that ask without naming a coin, as lower-case words.
const GENERAL_QUESTIONS: [&str; 8] =
    ["crypto", "cryptos", "what should i do", "what to do", "what now", "should i buy", "should i sell", "buy or sell"];

/// Reads a text. `bot_name` is the bot's user name without `@`, for commands of groups (`/ask@name`).
#[must_use]
pub fn read(text: &str, vocabulary: &Vocabulary, bot_name: Option<&str>) -> Intent {
    let text: String = text.chars().take(MAX_CHARS).collect();
    let text = text.trim();
    if let Some(command) = text.strip_prefix('/') {
        let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let (name, addressee) = name.split_once('@').map_or((name, None), |(name, addressee)| (name, Some(addressee)));
        let ours = match (addressee, bot_name) {
            (Some(addressee), Some(bot_name)) => addressee.eq_ignore_ascii_case(bot_name),
            _ => true,
        };
        let name = name.to_ascii_lowercase();
        if !ours {
            return Intent::Unknown;
        }
        if let Some(command) = trading_command(&name, rest, vocabulary) {
            return Intent::Command(command);
        }
        return match name.as_str() {
            "start" => Intent::Start,
            "help" => Intent::Help,
            "ask" => ask_command(rest, vocabulary),
            // "/btc" is a question too; "/weather in bitcoin city" is not.
            name if rest.trim().is_empty() => plain(name, vocabulary),
            _ => Intent::Unknown,
        };
    }
    plain(text, vocabulary)
}

fn trading_command(name: &str, rest: &str, vocabulary: &Vocabulary) -> Option<Command> {
    let reason = || {
        let reason: String = rest.trim().chars().filter(|c| !c.is_control()).take(MAX_REASON_CHARS).collect();
        (!reason.is_empty()).then_some(reason)
    };
    Some(match name {
        "status" => Command::Status,
        "balance" => Command::Balance,
        "profit" => Command::Profit,
        "daily" => Command::Daily,
        "orders" => Command::Orders,
        "pause" => Command::Set(TradingState::Reducing, reason()),
        "stop" => Command::Set(TradingState::Halted, reason()),
        "resume" => Command::Set(TradingState::Running, reason()),
        "why" => Command::Why(match rest.split_whitespace().next() {
            None => WhyOf::Latest,
            Some(id) => id.to_ascii_lowercase().parse().map_or(WhyOf::Unreadable, WhyOf::Id),
        }),
        "chart" => chart_command(rest, vocabulary),
        _ => return None,
    })
}

/// `/chart`, `/chart BTC`, `/chart btc 5m`.
fn chart_command(rest: &str, vocabulary: &Vocabulary) -> Command {
    let (lengths, others): (Vec<&str>, Vec<&str>) = rest.split_whitespace().partition(|word| is_length(word));
    let symbol = match ask_command(&others.join(" "), vocabulary) {
        Intent::Ask(symbols) => symbols.into_iter().next(),
        _ => None,
    };
    match lengths.first().map(|length| length.to_ascii_lowercase().parse()) {
        None => Command::Chart(symbol, None),
        Some(Ok(interval)) => Command::Chart(symbol, Some(interval)),
        Some(Err(_)) => Command::ChartOfNoInterval,
    }
}

/// Whether a word is a length of time, as `5m` and `90` are and `1inch` is not.
fn is_length(word: &str) -> bool {
    let unit = word.trim_start_matches(|c: char| c.is_ascii_digit());
    unit.len() < word.len() && unit.len() <= 3 && unit.chars().all(|c| c.is_ascii_alphabetic())
}

/// `/ask`, `/ask BTC`, `/ask btc and eth`: what is not understood is taken for a symbol, so that the answer names it.
fn ask_command(rest: &str, vocabulary: &Vocabulary) -> Intent {
    match plain(rest, vocabulary) {
        Intent::Unknown if words(rest).is_empty() => Intent::AskDefault,
        Intent::Unknown => {
            let named = words(rest).iter().filter_map(|word| vocabulary.insisted(&word.lower)).collect();
            intent_of(named).unwrap_or(Intent::Unknown)
        }
        intent => intent,
    }
}

fn plain(text: &str, vocabulary: &Vocabulary) -> Intent {
    let words = words(text);
    if let Some(intent) = intent_of(symbols(&words, vocabulary)) {
        return intent;
    }
    let sentence = words.iter().map(|word| word.lower.as_str()).collect::<Vec<_>>().join(" ");
    if sentence == "help" {
        return Intent::Help;
    }
    let sentence = format!(" {sentence} ");
    let general = GENERAL_QUESTIONS.iter().any(|phrase| sentence.contains(&format!(" {phrase} ")));
    if general { Intent::AskDefault } else { Intent::Unknown }
}

fn intent_of(named: Vec<Symbol>) -> Option<Intent> {
    let mut distinct: Vec<Symbol> = Vec::new();
    for symbol in named {
        if !distinct.contains(&symbol) {
            distinct.push(symbol);
        }
    }
    match distinct.len() {
        0 => None,
        named if named > MAX_SYMBOLS => Some(Intent::TooMany { named }),
        _ => Some(Intent::Ask(distinct)),
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Word {
    lower: String,
    emphasis: Emphasis,
    /// Joined to the next word by a `/`, `-` or `_`, as pairs are spelled.
    joined: bool,
}

/// The words of a text: runs of letters and digits, whatever quotes, marks and spaces are around them.
fn words(text: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(char::is_alphanumeric) {
        let between = &rest[..start];
        let run = &rest[start..];
        let end = run.find(|c: char| !c.is_alphanumeric()).unwrap_or(run.len());
        let word = &run[..end];
        if let Some(previous) = words.last_mut() {
            previous.joined = matches!(between, "/" | "-" | "_");
        }
        let tagged = between.ends_with(['$', '#']);
        let capitals = word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
        let emphasis = if tagged || capitals { Emphasis::Strong } else { Emphasis::None };
        words.push(Word { lower: word.to_lowercase(), emphasis, joined: false });
        rest = &run[end..];
    }
    words
}

fn symbols(words: &[Word], vocabulary: &Vocabulary) -> Vec<Symbol> {
    // In a bare list of coins even an everyday word is one: "btc, ada and dot".
    let is_list = words.iter().all(|word| {
        JOINING_WORDS.contains(&word.lower.as_str()) || vocabulary.word(&word.lower, Emphasis::Strong).is_some()
    });
    let mut found = Vec::new();
    let mut left_out = Vec::new();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let before = at.checked_sub(1).and_then(|before| words.get(before));
        let leaves_out = before.is_some_and(|before| LEAVING_OUT.contains(&before.lower.as_str()));
        let pair = words.get(at + 1).and_then(|next| vocabulary.pair(&word.lower, &next.lower, word.joined));
        at += if pair.is_some() { 2 } else { 1 };
        let emphasis = if is_list { Emphasis::Strong } else { word.emphasis };
        let symbol = pair.or_else(|| vocabulary.word(&word.lower, emphasis));
        if leaves_out { left_out.extend(symbol) } else { found.extend(symbol) }
    }
    found.retain(|symbol| !left_out.contains(symbol));
    // "Why not btc?" asks about it.
    if found.is_empty() { left_out } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vocabulary() -> Vocabulary {
        Vocabulary::new(["BTCUSDT", "ETHUSDT", "SOLUSDT", "ETHBTC", "PEOPLEUSDC"].map(|s| s.parse().unwrap()).to_vec())
    }

    fn asked(text: &str) -> Vec<String> {
        match read(text, &vocabulary(), Some("crypto_bot")) {
            Intent::Ask(symbols) => symbols.into_iter().map(String::from).collect(),
            other => panic!("{text:?} was read as {other:?}"),
        }
    }

    fn intent(text: &str) -> Intent {
        read(text, &vocabulary(), Some("crypto_bot"))
    }

    #[test]
    fn one_symbol_in_many_spellings() {
        for text in [
            "btc?",
            "BTC",
            "Bitcoin",
            "bitcoin?",
            "BTCUSDT",
            "btcusdt",
            "BTC/USDT",
            "btc-usdt",
            "btc usdt",
            "BTCUSD",
            "btc/usd",
            "$btc",
            "#BTC",
            "  \"bitcoin\"  ",
            "“BTC”",
            "'btc'",
            "what about bitcoin",
            "Should I buy bitcoin now?",
            "/ask BTC",
            "/ask btc",
            "/ASK bitcoin",
            "/ask@crypto_bot BTC",
            "/btc",
            "btc btc BTCUSDT bitcoin",
            "what should I do with BTC?",
            "BTC_USDT",
            "sell my btc!!!",
        ] {
            assert_eq!(asked(text), ["BTCUSDT"], "{text}");
        }
    }

    #[test]
    fn several_symbols_in_their_order() {
        assert_eq!(asked("btc and eth"), ["BTCUSDT", "ETHUSDT"]);
        assert_eq!(asked("eth,btc;sol"), ["ETHUSDT", "BTCUSDT", "SOLUSDT"]);
        assert_eq!(asked("ETHUSDT BTCUSDT"), ["ETHUSDT", "BTCUSDT"]);
        assert_eq!(asked("btc/eth"), ["BTCUSDT", "ETHUSDT"]);
        assert_eq!(asked("bitcoin & ether?"), ["BTCUSDT", "ETHUSDT"]);
        assert_eq!(asked("bitcoin in the ether?"), ["BTCUSDT"], "ether is an everyday word here");
        assert_eq!(asked("bitcoin in the $ether?"), ["BTCUSDT", "ETHUSDT"]);
        assert_eq!(asked("/ask btc eth"), ["BTCUSDT", "ETHUSDT"]);
        assert_eq!(asked("not btc but eth"), ["ETHUSDT"]);
        assert_eq!(asked("btc, eth and sol except ETH/USDT"), ["BTCUSDT", "SOLUSDT"]);
        assert_eq!(asked("why not btc?"), ["BTCUSDT"]);
    }

    #[test]
    fn pairs_that_are_not_in_dollars_must_be_served() {
        assert_eq!(asked("eth/btc"), ["ETHBTC"]);
        assert_eq!(asked("ETHBTC"), ["ETHBTC"]);
        assert_eq!(asked("people?"), ["PEOPLEUSDC"], "the quote that is served");
    }

    #[test]
    fn what_is_not_served_is_asked_all_the_same_and_refused_by_name_later() {
        assert_eq!(asked("doge?"), ["DOGEUSDT"]);
        assert_eq!(asked("foousdt"), ["FOOUSDT"]);
        assert_eq!(asked("/ask foo"), ["FOOUSDT"]);
        assert_eq!(asked("/ask FOOBAR"), ["FOOBAR"]);
    }

    #[test]
    fn everyday_words_are_coins_only_when_meant() {
        assert_eq!(intent("send me the link near you"), Intent::Unknown);
        assert_eq!(asked("link?"), ["LINKUSDT"]);
        assert_eq!(asked("LINK and NEAR"), ["LINKUSDT", "NEARUSDT"]);
        assert_eq!(asked("how is $dot doing"), ["DOTUSDT"]);
    }

    #[test]
    fn the_button_and_general_questions_ask_for_the_default() {
        for text in [
            BUTTON_TEXT,
            "what should i do with crypto",
            "What should I do?",
            "crypto",
            "buy or sell?",
            "/ask",
            "/ask ",
            "so, what now?",
        ] {
            assert_eq!(intent(text), Intent::AskDefault, "{text}");
        }
    }

    #[test]
    fn commands() {
        assert_eq!(intent("/start"), Intent::Start);
        assert_eq!(intent("/start deep-link"), Intent::Start);
        assert_eq!(intent("/help@Crypto_Bot"), Intent::Help);
        assert_eq!(intent("help"), Intent::Help);
        assert_eq!(intent("/help@other_bot"), Intent::Unknown);
        assert_eq!(intent("/weather in bitcoin city"), Intent::Unknown);
    }

    #[test]
    fn commands_of_trading() {
        let command = |text: &str| match intent(text) {
            Intent::Command(command) => command,
            other => panic!("{text:?} was read as {other:?}"),
        };
        assert_eq!(command("/status"), Command::Status);
        assert_eq!(command("/Balance@crypto_bot"), Command::Balance);
        assert_eq!(command("/pause"), Command::Set(TradingState::Reducing, None));
        assert_eq!(
            command("/stop  news at\n two "),
            Command::Set(TradingState::Halted, Some("news at two".to_owned()))
        );
        assert_eq!(command("/resume"), Command::Set(TradingState::Running, None));
        assert_eq!(command("/why"), Command::Why(WhyOf::Latest));
        assert_eq!(command("/why it"), Command::Why(WhyOf::Unreadable));
        let id = "0123456789ABCDEF0123456789abcdef";
        assert_eq!(command(&format!("/why {id}")), Command::Why(WhyOf::Id(id.to_lowercase().parse().unwrap())));
        let eth = || Some("ETHUSDT".parse().unwrap());
        assert_eq!(command("/chart eth"), Command::Chart(eth(), None));
        assert_eq!(command("/chart"), Command::Chart(None, None));
        assert_eq!(command("/chart ETH/USDT 15M"), Command::Chart(eth(), Some(Interval::FifteenMinutes)));
        assert_eq!(command("/chart 1h eth"), Command::Chart(eth(), Some(Interval::OneHour)));
        assert_eq!(command("/chart 5m"), Command::Chart(None, Some(Interval::FiveMinutes)));
        for text in ["/chart BTC 99m", "/chart btc 1d", "/chart 5 btc", "/chart btc 5min"] {
            assert_eq!(command(text), Command::ChartOfNoInterval, "{text}");
        }
        assert_eq!(command("/chart 1inch"), Command::Chart(Some("1INCHUSDT".parse().unwrap()), None));
        assert_eq!(command("/PAUSE"), command("/pause"));
        assert_eq!(intent("/stop@other_bot"), Intent::Unknown);
        assert_eq!(intent("stop"), Intent::Unknown, "a word is no command");
        let long = format!("/stop {}", "x".repeat(400));
        assert!(matches!(command(&long), Command::Set(_, Some(reason)) if reason.len() == MAX_REASON_CHARS));
    }

    #[test]
    fn every_listed_command_means_something_and_is_one_for_telegram() {
        for (name, description) in COMMANDS {
            assert_ne!(intent(&format!("/{name}")), Intent::Unknown, "{name}");
            assert!(name.len() <= 32 && name.bytes().all(|b| b.is_ascii_lowercase()), "{name}");
            assert!((1..=256).contains(&description.chars().count()), "{name}");
        }
    }

    #[test]
    fn the_rest_is_unknown() {
        for text in [
            "",
            " ",
            "?",
            "/",
            "hello",
            "good morning",
            "🚀🚀🚀",
            "usdt",
            "tell me a joke",
            "/unknown",
            "12345",
            "\u{0}",
        ] {
            assert_eq!(intent(text), Intent::Unknown, "{text:?}");
        }
    }

    #[test]
    fn too_many_are_counted() {
        let text = "btc eth sol bnb xrp ada doge ltc trx avax shib";
        assert_eq!(intent(text), Intent::TooMany { named: 11 });
    }

    proptest! {
        #[test]
        fn any_text_gives_a_bounded_intent(text in "\\PC{0,700}") {
            if let Intent::Ask(symbols) = intent(&text) {
                prop_assert!((1..=MAX_SYMBOLS).contains(&symbols.len()));
            }
        }

        #[test]
        fn any_code_points_are_read(chars in proptest::collection::vec(any::<char>(), 0..600)) {
            let text: String = chars.into_iter().collect();
            let _ = read(&text, &Vocabulary::default(), None);
            let _ = read(&format!("/ask {text}"), &vocabulary(), None);
        }

        #[test]
        fn a_named_symbol_is_found_between_other_words(before in "[a-z ]{0,40}", after in "[ ?!.,]{0,10}", spelling in "(btcusdt|BTCUSDT|BTC/USDT|Btc-Usdt)") {
            let text = format!("{before} {spelling}{after}");
            match intent(&text) {
                Intent::Ask(symbols) => prop_assert!(symbols.iter().any(|symbol| symbol.as_str() == "BTCUSDT")),
                other => prop_assert!(false, "{text:?} was read as {other:?}"),
            }
        }
    }
}
