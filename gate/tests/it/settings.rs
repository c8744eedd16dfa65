//! The settings, as a command line has them.

use clap::Parser;
use gate::{GateConfig, JwtConfig};
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
