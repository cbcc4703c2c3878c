//! The mail server's settings.

use std::time::Duration;

use lettre::{
    Address,
    message::{
        Mailbox,
        dkim::{
            DkimCanonicalization, DkimCanonicalizationType, DkimConfig, DkimSigningAlgorithm,
            DkimSigningKey,
        },
        header::HeaderName,
    },
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, TlsParameters, TlsParametersBuilder},
        extension::ClientId,
    },
};
use parley_runtime::config::Env;

use super::{needed, secret};
use crate::channels::email::{Security, Settings};

const HOST: &str = "PARLEY_SMTP_HOST";
const CA_FILE: &str = "PARLEY_SMTP_CA_FILE";
const USER: &str = "PARLEY_SMTP_USER";
const PASSWORD: &str = "PARLEY_SMTP_PASSWORD";
const DKIM_KEY: &str = "PARLEY_SMTP_DKIM_KEY";

/// Shorter than what servers allow (RFC 5321: five minutes).
const IDLE: Duration = Duration::from_secs(60);

/// `None` if no server is named.
pub(super) fn settings(env: &mut Env, brand: &str) -> Option<Settings> {
    let tls = env.choice("PARLEY_SMTP_TLS", "starttls", &["starttls", "tls", "none"]);
    let port = env.opt_number("PARLEY_SMTP_PORT", 1..=u16::MAX);
    let step_timeout =
        env.duration_millis("PARLEY_SMTP_STEP_TIMEOUT_MILLIS", 15_000, 100..=300_000);
    let connections = env.usize("PARLEY_SMTP_CONNECTIONS", 4, 1..=1_000);
    let credentials = credentials(env, &tls);
    let dkim = dkim(env);
    let roots = roots(env);
    let hello = env.opt_string("PARLEY_SMTP_HELLO");
    let host = env.opt_string(HOST)?;
    let from = from(env, brand)?;
    let security = match tls.as_str() {
        "none" => Security::None,
        "tls" => Security::Tls(trust(env, &host, roots)?),
        _ => Security::StartTls(trust(env, &host, roots)?),
    };
    let port = port.unwrap_or(match security {
        Security::None => 25,
        Security::StartTls(_) => 587,
        Security::Tls(_) => 465,
    });
    let hello = ClientId::Domain(hello.unwrap_or_else(|| from.email.domain().to_owned()));
    Some(Settings {
        host,
        port,
        security,
        credentials,
        from,
        hello,
        step_timeout,
        connections,
        idle: IDLE,
        dkim,
    })
}

fn from(env: &mut Env, brand: &str) -> Option<Mailbox> {
    const FROM: &str = "PARLEY_SMTP_FROM";
    match needed(env, FROM, HOST).parse::<Address>() {
        Ok(address) => Some(Mailbox::new(Some(brand.to_owned()), address)),
        Err(_) => {
            env.problem(FROM, "is not an address like notifications@chat.example");
            None
        }
    }
}

fn credentials(env: &mut Env, tls: &str) -> Option<Credentials> {
    let password = secret(env, (PASSWORD, "PARLEY_SMTP_PASSWORD_FILE"), 1);
    let user = env.opt_string(USER)?;
    let Some(password) = password else {
        env.problem(PASSWORD, format!("is not set, but {USER} is"));
        return None;
    };
    if tls == "none" {
        env.problem("PARLEY_SMTP_TLS", format!("is none: the password of {USER} could be read"));
    }
    Some(Credentials::new(user, password))
}

fn roots(env: &mut Env) -> Option<Certificate> {
    let path = env.opt_path(CA_FILE)?;
    match std::fs::read(path).map(|pem| Certificate::from_pem(&pem)) {
        Ok(Ok(certificate)) => Some(certificate),
        Ok(Err(_)) => {
            env.problem(CA_FILE, "has no certificates in PEM");
            None
        }
        Err(error) => {
            env.problem(CA_FILE, format!("cannot be read: {error}"));
            None
        }
    }
}

fn trust(env: &mut Env, host: &str, roots: Option<Certificate>) -> Option<TlsParameters> {
    let mut builder: TlsParametersBuilder = TlsParameters::builder(host.to_owned());
    if let Some(roots) = roots {
        builder = builder.add_root_certificate(roots);
    }
    match builder.build() {
        Ok(parameters) => Some(parameters),
        Err(_) => {
            env.problem(HOST, "cannot be checked: no root certificates, or not a host's name");
            None
        }
    }
}

/// Everything that mail programs act upon: RFC 8058 asks for the headers of the one click. Not
/// Content-Type: lettre signs it as missing, because it belongs to the body there.
const SIGNED: [&str; 10] = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "MIME-Version",
];

fn dkim(env: &mut Env) -> Option<DkimConfig> {
    let domain = env.opt_string("PARLEY_SMTP_DKIM_DOMAIN");
    let selector = env.opt_string("PARLEY_SMTP_DKIM_SELECTOR");
    let key = secret(env, (DKIM_KEY, "PARLEY_SMTP_DKIM_KEY_FILE"), 1)?;
    let (Some(domain), Some(selector)) = (domain, selector) else {
        env.problem(
            "PARLEY_SMTP_DKIM_DOMAIN",
            "and PARLEY_SMTP_DKIM_SELECTOR are not both set, but there is a key",
        );
        return None;
    };
    let algorithm = if key.starts_with("-----BEGIN") {
        DkimSigningAlgorithm::Rsa
    } else {
        DkimSigningAlgorithm::Ed25519
    };
    // A variable can hardly hold line ends: `\n` will do.
    let Ok(key) = DkimSigningKey::new(&key.replace("\\n", "\n"), algorithm) else {
        env.problem(DKIM_KEY, "is neither RSA in PEM (PKCS#1) nor 32 bytes of Ed25519 in base64");
        return None;
    };
    let headers = SIGNED.map(HeaderName::new_from_ascii_str).to_vec();
    let relaxed = DkimCanonicalization {
        header: DkimCanonicalizationType::Relaxed,
        body: DkimCanonicalizationType::Relaxed,
    };
    Some(DkimConfig::new(selector, domain, key, headers, relaxed))
}
