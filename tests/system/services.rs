//! Services alone: started, refused, stopped.

use crate::harness::{Deployment, run};

#[tokio::test]
async fn services_start_alone_and_end_when_told() {
    let deployment = Deployment::start().await;
    let mut commands = deployment.service("commands").await;
    let mut projections = deployment.service("projections").await;
    // Both have come far enough to listen to signals once they have a connection.
    let client = async_nats::connect(deployment.nats.url()).await.unwrap();
    crate::harness::eventually(
        "the commands service announces itself",
        std::time::Duration::from_secs(20),
        async || client.request("$SRV.PING", "".into()).await.ok(),
    )
    .await;
    for service in [&mut commands, &mut projections] {
        let status = service.terminate().await;
        assert_eq!(status.code(), Some(0), "{}", service.output());
    }
}

#[tokio::test]
async fn a_missing_server_exits_with_69() {
    let nowhere = [
        ("PARLEY_NATS_URL", "nats://127.0.0.1:1"),
        ("PARLEY_DATABASE_URL", "postgres://a@127.0.0.1:1/a"),
    ];
    for name in ["commands", "projections", "migrate", "topology"] {
        let ran = run(&[name], &nowhere).await;
        assert_eq!(ran.code, Some(69), "{name}: {}", ran.stderr);
        assert!(!ran.stderr.is_empty());
    }
}

#[tokio::test]
async fn bad_usage_and_configuration_exit_with_64() {
    struct Case(&'static [&'static str], &'static [(&'static str, &'static str)], &'static str);
    let cases = [
        Case(&["nonsense"], &[], "nonsense"),
        Case(&["up", "--listen", "nowhere"], &[], "--listen"),
        Case(&["up"], &[("PARLEY_DRAIN_SECONDS", "soon")], "PARLEY_DRAIN_SECONDS"),
        Case(&["up"], &[("PARLEY_LOG", "a=b=c")], "PARLEY_LOG"),
        Case(&["commands"], &[("PARLEY_SHARDS", "0")], "PARLEY_SHARDS"),
        Case(&["projections"], &[], "PARLEY_DATABASE_URL"),
    ];
    for Case(args, variables, named) in cases {
        let ran = run(args, variables).await;
        assert_eq!(ran.code, Some(64), "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(named), "{args:?}: {}", ran.stderr);
    }
}
