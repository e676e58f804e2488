//! The client against a server that speaks the real wire format and misbehaves on demand.

#[cfg(test)]
mod chat;
#[cfg(test)]
mod fake;
