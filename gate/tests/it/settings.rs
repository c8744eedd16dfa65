//! The settings, as a command line has them.

use clap::Parser;
use gate::{Gate, GateConfig, JwtConfig, Keyring};
use schemas::access::Role;

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    gate: GateConfig,
    #[command(flatten)]
    jwt: JwtConfig,
}

fn read(arguments: &[&str]) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(["netkeep"].iter().chain(arguments))
}

#[test]
fn without_settings_no_jwt_and_no_proxy_is_believed() {
    let cli = read(&[]).unwrap();
    assert!(cli.gate.trusted_proxies.is_empty());
    assert!(cli.jwt.verifier().unwrap().is_none());
    assert_eq!(cli.jwt.jwt_role_max, Role::Admin);
}

#[test]
fn lists_and_roles_are_read() {
    let cli =
        read(&["--trusted-proxies", "10.0.0.1,::1", "--jwt-audience", "a,b", "--jwt-role-max", "operator"]).unwrap();
    assert_eq!(cli.gate.trusted_proxies.len(), 2);
    assert_eq!(cli.jwt.jwt_audience, ["a", "b"]);
    assert_eq!(cli.jwt.jwt_role_max, Role::Operator);
    for bad in [["--trusted-proxies", "proxy.example"], ["--jwt-role-max", "emperor"], ["--jwt-jwks-ttl-s", "-1"]] {
        assert!(read(&bad).is_err(), "{bad:?}");
    }
}

#[test]
fn all_that_is_wrong_is_told_together() {
    let arguments = [
        "--limit",
        "free.per_minute=100,gold.per_day=1",
        "--limit",
        "team.per_week=2",
        "--cors-origin",
        "console.example",
        "--jwt-audience",
        "netkeep",
    ];
    let cli = read(&arguments).unwrap();
    let errors = Gate::configured(Keyring::default(), &cli.jwt, &cli.gate).unwrap_err();
    assert_eq!(errors.0.len(), 4, "{errors}");
    for part in ["--jwt-audience", "gold", "per_week", "--cors-origin console.example"] {
        assert!(errors.to_string().contains(part), "{part} is missing from {errors}");
    }
    let good =
        read(&["--limit", "free.per_minute=100", "--cors-origin", "https://a.example,http://b.example:81"]).unwrap();
    assert!(Gate::configured(Keyring::default(), &good.jwt, &good.gate).is_ok());
}

#[test]
fn the_claims_and_the_clock_of_an_issuer_are_configured() {
    let cli = read(&["--jwt-azp", "console,cli", "--jwt-role-claim", "roles", "--jwt-leeway-s", "5"]).unwrap();
    assert_eq!(cli.jwt.jwt_authorized_parties, ["console", "cli"]);
    assert_eq!((cli.jwt.jwt_role_claim.as_str(), cli.jwt.jwt_leeway_s), ("roles", 5));
    assert!(read(&["--jwt-leeway-s", "3600"]).is_err());
}
