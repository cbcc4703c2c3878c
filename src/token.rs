//! `parley token`: a JWT such as the marketplace would issue.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parley_domain::UserId;
use parley_runtime::clock::{Clock, SystemClock};
use parley_runtime::config::Env;
use ring::hmac;
use serde_json::json;

use crate::failure::Failure;
use crate::up::secrets;

/// Print a token for a user, signed with PARLEY_JWT_HS256_SECRET or the secret of --data.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The marketplace's id of the user.
    #[arg(long)]
    user: String,
    /// `user`, or `service` for a backend service.
    #[arg(long, default_value = "user", value_parser = ["user", "service"])]
    scope: String,
    /// How long the token is good.
    #[arg(long, default_value_t = 3_600, value_parser = clap::value_parser!(i64).range(1..=31_536_000))]
    ttl_seconds: i64,
    /// The data directory of `parley up`, whose secret signs when the variable is not set.
    #[arg(long, default_value = crate::up::DEFAULT_DATA)]
    data: PathBuf,
}

pub fn run(args: &Args, mut env: Env) -> Result<(), Failure> {
    let user = UserId::parse(&args.user)
        .map_err(|_| Failure::usage("--user: a userId is 1 to 64 of A-Z a-z 0-9 _ -"))?;
    let secret = env.opt_secret(secrets::JWT_VARIABLE, secrets::MIN_BYTES);
    env.finish()?;
    let secret = match secret {
        Some(secret) => secret,
        None => secrets::read_jwt(&args.data).map_err(|error| {
            Failure::usage(format!(
                "{} is not set, and {error}; `parley up` makes one",
                secrets::JWT_VARIABLE
            ))
        })?,
    };
    let now_seconds = SystemClock.now_millis().div_euclid(1_000);
    println!(
        "{}",
        mint(secret.as_bytes(), user.as_str(), &args.scope, now_seconds, args.ttl_seconds)
    );
    Ok(())
}

/// A JWT by HS256 (RFC 7519, RFC 7518).
fn mint(secret: &[u8], user: &str, scope: &str, now_seconds: i64, ttl_seconds: i64) -> String {
    let header = json!({"alg": "HS256", "typ": "JWT"});
    let claims = json!({
        "sub": user,
        "scope": scope,
        "iat": now_seconds,
        "exp": now_seconds + ttl_seconds,
    });
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let signed = format!(
        "{}.{}",
        encode(header.to_string().as_bytes()),
        encode(claims.to_string().as_bytes())
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let signature = hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", encode(signature.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_what_the_standard_says() {
        let token = mint(&[7; 32], "alice", "user", 1_000, 60);
        let parts: Vec<&str> = token.split('.').collect();
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&decode(parts[1])).unwrap();
        assert_eq!(claims, json!({"sub": "alice", "scope": "user", "iat": 1_000, "exp": 1_060}));
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
        let signed = format!("{}.{}", parts[0], parts[1]);
        hmac::verify(&key, signed.as_bytes(), &decode(parts[2])).unwrap();
    }
}
