//! `key=value` text, pairs separated by blanks, commas, semicolons and lines; values with blanks in quotes.

use std::iter::Peekable;
use std::str::CharIndices;

use super::refused::shown;
use super::{Raw, Refused};

const SEPARATORS: [char; 2] = [',', ';'];

fn separates(c: char) -> bool {
    c.is_whitespace() || SEPARATORS.contains(&c)
}

pub(super) fn read(text: &str) -> Result<Vec<(String, Raw)>, Refused> {
    if text.starts_with('<') {
        return Err(Refused::Text("it looks like a page of HTML or XML".to_owned()));
    }
    if text.starts_with('[') || text.starts_with('"') {
        return Err(Refused::NoObject);
    }
    let mut pairs = Vec::new();
    let mut rest = text.char_indices().peekable();
    loop {
        while rest.next_if(|(_, c)| separates(*c)).is_some() {}
        let Some(&(begin, _)) = rest.peek() else { return Ok(pairs) };
        let mut end = begin;
        while let Some((at, c)) = rest.next_if(|(_, c)| *c != '=' && !separates(*c)) {
            end = at + c.len_utf8();
        }
        let name = &text[begin..end];
        if rest.next_if(|(_, c)| *c == '=').is_none() {
            return Err(Refused::Text(format!("no '=' stands right behind {}", shown(name))));
        }
        if name.is_empty() {
            return Err(Refused::Text("a '=' has no name before it".to_owned()));
        }
        pairs.push((name.to_owned(), Raw::Text(value(text, name, &mut rest)?)));
    }
}

/// The value that begins here. What is empty is a placeholder with nothing in it.
fn value(text: &str, name: &str, rest: &mut Peekable<CharIndices<'_>>) -> Result<String, Refused> {
    let Some((_, quote)) = rest.next_if(|(_, c)| matches!(c, '"' | '\'')) else {
        let Some(&(begin, _)) = rest.peek() else { return Ok(String::new()) };
        let mut end = begin;
        while let Some((at, c)) = rest.next_if(|(_, c)| !separates(*c)) {
            end = at + c.len_utf8();
        }
        return Ok(text[begin..end].to_owned());
    };
    let mut value = String::new();
    while let Some((_, c)) = rest.next() {
        match c {
            '\\' => match rest.next_if(|(_, next)| *next == quote || *next == '\\') {
                Some((_, escaped)) => value.push(escaped),
                None => value.push(c),
            },
            c if c == quote => {
                return match rest.peek() {
                    Some((_, next)) if !separates(*next) => {
                        Err(Refused::Text(format!("something stands right behind the quotes of {}", shown(name))))
                    }
                    _ => Ok(value),
                };
            }
            c => value.push(c),
        }
    }
    Err(Refused::Text(format!("the quotes of {} are not closed", shown(name))))
}
