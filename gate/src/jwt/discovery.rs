//! Discovery: the issuer itself says where its keys are (OpenID Connect Discovery 1.0).

use reqwest::Url;

use super::source::is_local;

const DOCUMENT: &str = ".well-known/openid-configuration";

#[derive(serde::Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
}

/// Where an issuer has its document: under its own path.
pub(super) fn document_url(issuer: &str) -> Option<Url> {
    let url = Url::parse(issuer).ok()?;
    let fits = matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none();
    if fits { Url::parse(&format!("{}/{DOCUMENT}", issuer.trim_end_matches('/'))).ok() } else { None }
}

/// Where the keys are, as the document of the issuer says.
pub(super) fn keys_url(document: &[u8], issuer: &str) -> Result<Url, String> {
    let document: Document = serde_json::from_slice(document).map_err(|error| error.to_string())?;
    if document.issuer != issuer {
        return Err("its openid-configuration is that of another issuer".to_owned());
    }
    let url = Url::parse(&document.jwks_uri).map_err(|error| format!("its jwks_uri is not a URL: {error}"))?;
    match url.scheme() {
        "https" => Ok(url),
        // Who is on the way could put other keys in.
        "http" if issuer.starts_with("http://") || is_local(&url) => Ok(url),
        other => Err(format!("its jwks_uri is of the scheme {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_under_the_path_of_the_issuer() {
        let url = |issuer| document_url(issuer).map(|url| url.to_string());
        let expected = Some("https://a.example/realms/x/.well-known/openid-configuration".to_owned());
        assert_eq!(url("https://a.example/realms/x"), expected);
        assert_eq!(url("https://a.example/realms/x/"), expected);
        for bad in ["netkeep", "", "ftp://a.example", "https://", "https://a.example?x=1", "https://a.example#x"] {
            assert_eq!(url(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_the_issuer_itself_says_where_its_keys_are() {
        let keys = |issuer: &str, uri: &str| {
            let document = format!(r#"{{"issuer": "{issuer}", "jwks_uri": "{uri}", "token_endpoint": "x"}}"#);
            keys_url(document.as_bytes(), "https://a.example").is_ok()
        };
        assert!(keys("https://a.example", "https://keys.example/jwks"));
        assert!(!keys("https://a.example/", "https://keys.example/jwks"));
        assert!(!keys("https://b.example", "https://keys.example/jwks"));
        for bad in ["http://keys.example/jwks", "file:///etc/passwd", "nonsense"] {
            assert!(!keys("https://a.example", bad), "{bad}");
        }
        assert!(keys_url(b"{}", "https://a.example").is_err());
    }
}
