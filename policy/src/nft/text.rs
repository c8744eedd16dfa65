//! How things are written in nft's own language.

use std::fmt::{self, Write};

use crate::interval::{Family, Interval};
use crate::region::Cell;

use super::steps::Shape;

/// Lines of a script, indented with tabs.
#[derive(Debug, Default)]
pub(super) struct Script(String);

impl Script {
    pub(super) fn line(&mut self, depth: usize, line: impl fmt::Display) {
        for _ in 0..depth {
            self.0.push('\t');
        }
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{line}");
    }

    /// `head { item, … }` with one item a line.
    pub(super) fn list<T: fmt::Display>(&mut self, depth: usize, head: &str, items: &[T]) {
        self.line(depth, format_args!("{head} {{"));
        for (place, item) in items.iter().enumerate() {
            let comma = if place + 1 < items.len() { "," } else { "" };
            self.line(depth + 1, format_args!("{item}{comma}"));
        }
        self.line(depth, "}");
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}

/// The names of the fields of one family's addresses.
fn header(family: Family) -> &'static str {
    match family {
        Family::Any | Family::V4 => "ip",
        Family::V6 => "ip6",
    }
}

fn family_name(family: Family) -> &'static str {
    match family {
        Family::Any | Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    }
}

/// What must be asked first where the addresses themselves do not tell the family.
pub(super) fn family_guard(shape: &Shape) -> Option<&'static str> {
    let told = shape.source || shape.destination;
    match shape.family {
        Family::V4 if !told => Some("meta nfproto ipv4"),
        Family::V6 if !told => Some("meta nfproto ipv6"),
        Family::Any | Family::V4 | Family::V6 => None,
    }
}

/// The key of a map of this shape, with its guard: `ip saddr . meta l4proto`.
pub(super) fn key(shape: &Shape) -> String {
    let header = header(shape.family);
    let mut fields = Vec::new();
    if shape.source {
        fields.push(format!("{header} saddr"));
    }
    if shape.destination {
        fields.push(format!("{header} daddr"));
    }
    if shape.protocol {
        fields.push("meta l4proto".to_owned());
    }
    if shape.port {
        fields.push("th dport".to_owned());
    }
    if fields.is_empty() {
        return "meta nfproto".to_owned();
    }
    let key = fields.join(" . ");
    match family_guard(shape) {
        Some(guard) => format!("{guard} {key}"),
        None => key,
    }
}

/// The values of a cell, in the order of [`key`].
pub(super) fn value(family: Family, cell: &Cell) -> String {
    let mut values = Vec::new();
    values.extend(cell.source.map(|source| addresses(family, source)));
    values.extend(cell.destination.map(|destination| addresses(family, destination)));
    values.extend(cell.protocol.map(|number| number.to_string()));
    values.extend(cell.port.map(ports));
    if values.is_empty() { family_name(family).to_owned() } else { values.join(" . ") }
}

/// `10.0.0.7`, `10.0.0.0/8` or `10.0.0.1-10.0.0.9`.
pub(super) fn addresses(family: Family, interval: Interval) -> String {
    interval.span(family).map_or_else(String::new, |span| span.to_string())
}

/// `80` or `80-90`.
pub(super) fn ports(interval: Interval) -> String {
    let Interval { first, last } = interval;
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

/// `ip saddr`, `ip6 daddr`.
pub(super) fn address_field(family: Family, field: &str) -> String {
    format!("{} {field}", header(family))
}

/// The name of a set of addresses.
pub(super) fn set_name(place: usize) -> String {
    format!("addresses_{}", place + 1)
}
