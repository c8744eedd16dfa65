//! Where the next page is: the same question with other values of some parameters.

use std::fmt::Write;

use axum::http::Uri;

/// The path and query of `uri` with `changed` parameters, and no others of those names.
pub(super) fn next_page_uri(uri: &Uri, changed: &[(&str, String)]) -> String {
    let mut next = format!("{}?", uri.path());
    let kept = uri.query().unwrap_or_default().split('&').filter(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        !pair.is_empty() && !changed.iter().any(|(changed, _)| *changed == name)
    });
    for pair in kept {
        next.push_str(pair);
        next.push('&');
    }
    for (name, value) in changed {
        next.push_str(name);
        next.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':') {
                next.push(char::from(byte));
            } else {
                let _ = write!(next, "%{byte:02X}");
            }
        }
        next.push('&');
    }
    next.truncate(next.len().saturating_sub(1));
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_parameters_change() {
        let uri: Uri = "/api/v1/events?page=2&kind=rule".parse().expect("a uri");
        assert_eq!(next_page_uri(&uri, &[("page", "3".to_owned())]), "/api/v1/events?kind=rule&page=3");
        let bare: Uri = "/events".parse().expect("a uri");
        assert_eq!(next_page_uri(&bare, &[("a", "x y".to_owned())]), "/events?a=x%20y");
    }
}
