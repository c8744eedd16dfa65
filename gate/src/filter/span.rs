//! Durations as texts: `24h`, `1h30m`, `500ms`, `7d`.

/// Units with their milliseconds, the longer name before the one that it begins with.
const UNITS: [(&str, i64); 5] = [("ms", 1), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];

/// Reads a duration as milliseconds.
pub(super) fn parse(text: &str) -> Option<i64> {
    let (mut rest, mut total) = (text, 0_i64);
    loop {
        let digits = rest.find(|next: char| !next.is_ascii_digit())?;
        let (number, unit) = rest.split_at_checked(digits)?;
        let (name, millis) = UNITS.into_iter().find(|(name, _)| unit.starts_with(name))?;
        total = total.checked_add(number.parse::<i64>().ok()?.checked_mul(millis)?)?;
        rest = unit.strip_prefix(name)?;
        if rest.is_empty() {
            return Some(total);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn durations_are_numbers_with_units() {
        for (text, millis) in
            [("24h", 86_400_000), ("1h30m", 5_400_000), ("500ms", 500), ("7d", 604_800_000), ("0s", 0)]
        {
            assert_eq!(parse(text), Some(millis), "{text}");
        }
        for bad in ["", "h", "24", "1.5h", "-1h", "1h 2m", "1y", "99999999999999999999h", "9223372036854775807h", "é"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
