use super::*;

const SECRET: &str = "a secret of 32 bytes, or of more";
/// RFC 8292's appendix has no pair; this one is of a test.
const VAPID_PRIVATE: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";

fn problems(variables: &[(&str, &str)]) -> Vec<String> {
    let mut env = Env::from_map(variables.iter().copied());
    ChannelsConfig::from_env(&mut env);
    links(&mut env);
    match env.finish() {
        Ok(()) => Vec::new(),
        Err(error) => error.variables().map(str::to_owned).collect(),
    }
}

#[test]
fn nothing_is_needed_and_then_there_is_no_channel() {
    assert!(problems(&[]).is_empty());
    let config = ChannelsConfig::from_env(&mut Env::default());
    let Settings { email, sms, web_push, webhook } = config.providers;
    assert!(email.is_none() && sms.is_none() && web_push.is_none() && webhook.is_none());
    assert!(links(&mut Env::default()).is_none());
}

#[test]
fn a_channel_that_is_begun_has_to_be_whole() {
    for (variable, named) in [
        (("PARLEY_SMTP_HOST", "mail.example"), "PARLEY_SMTP_FROM"),
        (("PARLEY_SMTP_USER", "parley"), "PARLEY_SMTP_PASSWORD"),
        (("PARLEY_SMTP_DKIM_KEY", "CQkJ"), "PARLEY_SMTP_DKIM_DOMAIN"),
        (("PARLEY_SMS_ACCOUNT", "AC1"), "PARLEY_SMS_FROM"),
        (("PARLEY_SMS_ACCOUNT", "AC1"), "PARLEY_SMS_TOKEN"),
        (("PARLEY_SMS_ACCOUNT", "AC1"), "PARLEY_SMS_COUNTRIES"),
        (("PARLEY_PUSH_VAPID_PUBLIC_KEY", "x"), "PARLEY_PUSH_VAPID_PRIVATE_KEY"),
        (("PARLEY_WEBHOOK_SECRET", "short"), "PARLEY_WEBHOOK_SECRET"),
        (("PARLEY_NOTIFY_LINK_SECRET", "short"), "PARLEY_NOTIFY_LINK_SECRET"),
        (("PARLEY_NOTIFY_LINK_SECRET_FILE", "/nonexistent"), "PARLEY_NOTIFY_LINK_SECRET_FILE"),
    ] {
        let problems = problems(&[variable]);
        assert!(problems.iter().any(|name| name == named), "{variable:?}: {problems:?}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let smtp = [("PARLEY_SMTP_HOST", "mail.example"), ("PARLEY_SMTP_FROM", "a@mail.example")];
    let push =
        [("PARLEY_PUSH_VAPID_PRIVATE_KEY", VAPID_PRIVATE), ("PARLEY_PUSH_CONTACT", "mailto:a@b")];
    for (others, variable, named) in [
        (&smtp[..1], ("PARLEY_SMTP_FROM", "nobody"), "PARLEY_SMTP_FROM"),
        (&smtp[..1], ("PARLEY_SMTP_FROM", "a@b.example\r\nBcc: c@d"), "PARLEY_SMTP_FROM"),
        (&smtp[..], ("PARLEY_SMTP_TLS", "maybe"), "PARLEY_SMTP_TLS"),
        (&smtp[..], ("PARLEY_SMTP_CA_FILE", "/nonexistent"), "PARLEY_SMTP_CA_FILE"),
        (&push[..], ("PARLEY_PUSH_VAPID_PUBLIC_KEY", "x"), "PARLEY_PUSH_VAPID_PUBLIC_KEY"),
        (&push[..1], ("PARLEY_PUSH_VAPID_PUBLIC_KEY", "x"), "PARLEY_PUSH_CONTACT"),
    ] {
        let mut variables = others.to_vec();
        variables.push(variable);
        let problems = problems(&variables);
        assert!(problems.iter().any(|name| name == named), "{variable:?}: {problems:?}");
    }
    // A password is not sent in the open.
    let mut open = smtp.to_vec();
    open.extend([
        ("PARLEY_SMTP_TLS", "none"),
        ("PARLEY_SMTP_USER", "parley"),
        ("PARLEY_SMTP_PASSWORD", "x"),
    ]);
    assert_eq!(problems(&open), ["PARLEY_SMTP_TLS"]);
}

#[test]
fn a_secret_comes_from_a_variable_or_from_a_file_but_not_from_both() {
    let folder = std::env::temp_dir().join(format!("parley-secret-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("link");
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    let path = file.to_str().unwrap();
    let of = |variables: &[(&str, &str)]| links(&mut Env::from_map(variables.iter().copied()));
    let (name, file_name) = ("PARLEY_NOTIFY_LINK_SECRET", "PARLEY_NOTIFY_LINK_SECRET_FILE");
    let bob = parley_domain::UserId::parse("bob").unwrap();
    let code = |links: Option<Links>| links.unwrap().phone_code(&bob, "e", "+491");
    assert_eq!(code(of(&[(name, SECRET)])), code(of(&[(file_name, path)])));
    assert_eq!(problems(&[(name, SECRET), (file_name, path)]), [file_name]);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn links_lead_to_the_public_url() {
    for (variables, expected) in [
        (&[("PARLEY_PUBLIC_URL", "https://chat.example/dm/")][..], "https://chat.example/dm/#/"),
        (&[("PARLEY_LISTEN", "0.0.0.0:81")], "http://localhost:81/#/"),
        (&[("PARLEY_LISTEN", "10.0.0.1:82")], "http://10.0.0.1:82/#/"),
        (&[], "http://127.0.0.1:8080/#/"),
    ] {
        let mut env = Env::from_map(variables.iter().copied());
        env.set("PARLEY_NOTIFY_LINK_SECRET", SECRET);
        assert_eq!(links(&mut env).unwrap().conversation(None), expected);
    }
}
