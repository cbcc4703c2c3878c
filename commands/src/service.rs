//! The service as a whole: its shards, and the NATS endpoints for backend services.

use std::{sync::Arc, time::Duration};

use async_nats::{
    HeaderMap,
    service::{NATS_SERVICE_ERROR, NATS_SERVICE_ERROR_CODE, Request as ServiceRequest, ServiceExt},
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use parley_domain::{Action, Actor, Answer, ConversationId, DeviceId, Scope, UserId};
use parley_nats::{
    Connection, Failure,
    lease::Leases,
    subjects::{ACTOR_HEADER, COMMAND_QUEUE, DEVICE_HEADER, TRACEPARENT_HEADER, command_subject},
    topology::{self, Deployment},
};
use parley_runtime::shutdown::Shutdown;
use serde::{Deserialize, de::DeserializeOwned};
use smol_str::SmolStr;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    api::{
        DeliveryCursor, DeliveryCursorMoved, MessageAccepted, ReadCursor, ReadCursorMoved,
        SendMessage, device,
    },
    client::Client,
    config::Config,
    keeper::Keeper,
    owner::Owner,
    problem::{Code, Problem},
    wire::Request,
};

/// How often the views are asked how far they are.
const CHECKPOINT_INTERVAL: Duration = Duration::from_millis(250);
/// Requests of one verb that an instance works on at once.
const REQUESTS_IN_FLIGHT: usize = 1_000;

/// Why the service could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Nats(#[from] Failure),
    #[error("the NATS service could not be announced: {0}")]
    Service(String),
    #[error("PostgreSQL is not usable: {0}")]
    Database(#[from] parley_projections::Failure),
}

/// Runs until `shutdown`; hands its shards over at its soft end.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), Error> {
    let instance = Uuid::now_v7().simple().to_string();
    let connection =
        parley_nats::connect(&config.nats_url, &format!("parley commands {instance}")).await?;
    let deployment = topology::ensure(&connection, &config.topology).await?;
    let pool = parley_projections::connect(
        &config.database_url,
        "parley commands",
        config.database_connections,
    )?;
    let checkpoints = Checkpoints::watch(&pool, deployment.shards, shutdown.soft().clone());
    let ttl = config.topology.lease_ttl;
    let leases = Leases::open(&connection, &instance, config.topology.replicas, ttl).await?;
    let make_owner = {
        let (connection, config) = (connection.clone(), config.clone());
        move |shard| Owner {
            connection: connection.clone(),
            pool: pool.clone(),
            shard,
            checkpoint: checkpoints.of(shard),
            committer: config.committer.clone(),
            config: config.owner.clone(),
        }
    };
    let keeper =
        Keeper::new(connection.clone(), leases, ttl, deployment.shards, Box::new(make_owner));
    shutdown.spawn(keeper.run(shutdown.soft().clone()));
    serve_nats(connection, deployment, &config, shutdown).await
}

/// How far the views of each shard are.
struct Checkpoints {
    by_shard: Vec<watch::Receiver<Option<u64>>>,
}

impl Checkpoints {
    fn watch(pool: &PgPool, shards: u16, soft: CancellationToken) -> Self {
        let (senders, by_shard): (Vec<_>, Vec<_>) =
            (0..shards).map(|_| watch::channel(None)).unzip();
        let pool = pool.clone();
        tokio::spawn(async move {
            let asking = async {
                loop {
                    match parley_projections::checkpoints(&pool, shards).await {
                        Ok(positions) => {
                            for (sender, position) in senders.iter().zip(positions) {
                                sender.send_if_modified(|known| {
                                    // Never back: what memory forgot once must stay covered.
                                    let newer = Some(position) > *known;
                                    if newer {
                                        *known = Some(position);
                                    }
                                    newer
                                });
                            }
                        }
                        Err(error) => tracing::debug!(%error, "the views cannot be asked"),
                    }
                    tokio::time::sleep(CHECKPOINT_INTERVAL).await;
                }
            };
            soft.run_until_cancelled(asking).await;
        });
        Self { by_shard }
    }

    fn of(&self, shard: u16) -> watch::Receiver<Option<u64>> {
        self.by_shard[usize::from(shard)].clone()
    }
}

/// The verbs of `dm.cmd.<verb>`.
#[derive(Debug, Clone, Copy)]
enum Verb {
    MessageSend,
    CursorRead,
    CursorDelivered,
}

impl Verb {
    const ALL: [Self; 3] = [Self::MessageSend, Self::CursorRead, Self::CursorDelivered];

    fn as_str(self) -> &'static str {
        match self {
            Self::MessageSend => "message.send",
            Self::CursorRead => "cursor.read",
            Self::CursorDelivered => "cursor.delivered",
        }
    }
}

async fn serve_nats(
    connection: Connection,
    deployment: Deployment,
    config: &Config,
    shutdown: Shutdown,
) -> Result<(), Error> {
    let announced = |error: async_nats::Error| Error::Service(error.to_string());
    let service = connection
        .client()
        .service_builder()
        .description("Commands of Parley: one endpoint a verb, the HTTP bodies plus conversationId")
        .queue_group(COMMAND_QUEUE)
        .start("parley", env!("CARGO_PKG_VERSION"))
        .await
        .map_err(announced)?;
    let client =
        Arc::new(Client::new(connection.clone(), deployment.shards, config.client.clone()));
    for verb in Verb::ALL {
        let mut endpoint = service
            .endpoint_builder()
            .name(verb.as_str().replace('.', "-"))
            .add(command_subject(verb.as_str()))
            .await
            .map_err(announced)?;
        let client = Arc::clone(&client);
        let soft = shutdown.soft().clone();
        shutdown.spawn(async move {
            let mut working = FuturesUnordered::new();
            loop {
                tokio::select! {
                    biased;
                    Some(()) = working.next() => {}
                    () = soft.cancelled() => break,
                    request = endpoint.next(), if working.len() < REQUESTS_IN_FLIGHT => {
                        match request {
                            Some(request) => working.push(answer(verb, request, &client)),
                            None => break,
                        }
                    }
                }
            }
            if let Err(error) = endpoint.stop().await {
                tracing::debug!(%error, "an endpoint was gone already");
            }
            while working.next().await.is_some() {}
        });
    }
    shutdown.soft().cancelled().await;
    if let Err(error) = service.stop().await {
        tracing::debug!(%error, "the NATS service was gone already");
    }
    Ok(())
}

async fn answer(verb: Verb, request: ServiceRequest, client: &Client) {
    let answered = match read(verb, &request) {
        Ok(command) => client.execute(command).await.and_then(|answer| written(verb, answer)),
        Err(problem) => Err(problem),
    };
    let mut headers = HeaderMap::new();
    let payload = answered.unwrap_or_else(|problem| {
        // The library's own error reply has no body; ours is the problem object.
        headers.insert(NATS_SERVICE_ERROR_CODE, problem.status.to_string());
        headers.insert(NATS_SERVICE_ERROR, problem.code.as_str());
        serde_json::to_vec(&problem).unwrap_or_default()
    });
    if let Err(error) = request.respond_with_headers(Ok(payload.into()), headers).await {
        tracing::debug!(%error, "a command came without a reply subject");
    }
}

/// The HTTP body of a verb, and the conversation that HTTP has in its path.
#[derive(Deserialize)]
struct Addressed {
    #[serde(rename = "conversationId")]
    conversation_id: SmolStr,
}

fn read(verb: Verb, request: &ServiceRequest) -> Result<Request, Problem> {
    let header = |name: &str| {
        let headers = request.message.headers.as_ref();
        headers.and_then(|headers| headers.get(name)).map(ToString::to_string)
    };
    let actor = header(ACTOR_HEADER)
        .ok_or_else(|| Problem::new(Code::Unauthenticated, "the Dm-Actor header is missing"))?;
    let user_id = UserId::parse(&actor)?;
    let device_id = header(DEVICE_HEADER).map(|id| DeviceId::parse(&id)).transpose()?;
    let body = &request.message.payload;
    let Addressed { conversation_id } = json(body)?;
    let (action, named_device) = match verb {
        Verb::MessageSend => (json::<SendMessage>(body)?.into_action(user_id.as_str())?, None),
        Verb::CursorRead => {
            let cursor: ReadCursor = json(body)?;
            (Action::MarkRead { through_seq: cursor.read_through_seq }, cursor.device_id)
        }
        Verb::CursorDelivered => {
            let cursor: DeliveryCursor = json(body)?;
            let through_seq = cursor.delivered_through_seq;
            (Action::MarkDelivered { through_seq }, cursor.device_id)
        }
    };
    Ok(Request {
        conversation_id: ConversationId::parse(&conversation_id)?,
        actor: Actor {
            user_id,
            device_id: device(named_device)?.or(device_id),
            scope: Scope::Service,
        },
        action,
        traceparent: header(TRACEPARENT_HEADER),
    })
}

fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::malformed(error.to_string()))
}

fn written(verb: Verb, answer: Answer) -> Result<Vec<u8>, Problem> {
    let json = match (verb, answer) {
        (Verb::CursorRead, Answer::Cursor { read_seq, .. }) => {
            serde_json::to_vec(&ReadCursorMoved { read_seq })
        }
        (Verb::CursorDelivered, Answer::Cursor { delivered_seq, .. }) => {
            serde_json::to_vec(&DeliveryCursorMoved { delivered_seq })
        }
        (Verb::MessageSend, answer) => serde_json::to_vec(&MessageAccepted::from_answer(answer)),
        (Verb::CursorRead | Verb::CursorDelivered, Answer::Sent { .. }) => {
            return Err(Problem::new(Code::Internal, "the answer is to another question"));
        }
    };
    json.map_err(|error| Problem::new(Code::Internal, error.to_string()))
}
