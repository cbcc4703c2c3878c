//! What the bench asks over HTTP.

use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, body::Bytes};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};

use crate::failure::Failure;

/// A client of one gateway.
#[derive(Debug, Clone)]
pub struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
    url: String,
}

impl Http {
    pub fn new(url: &str) -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            url: url.trim_end_matches('/').to_owned(),
        }
    }

    /// A token from the dev-mode sign-in.
    pub async fn sign_in(&self, user: &str) -> Result<String, Failure> {
        let body = json!({ "userId": user });
        let answer = self.ask(Method::POST, "/dev/token", None, Some(body)).await?;
        answer["token"].as_str().map(str::to_owned).ok_or_else(|| {
            Failure::usage("the gateway has no /dev/token: measure one that runs in dev mode")
        })
    }

    pub async fn get(&self, path: &str, token: &str) -> Result<Value, Failure> {
        self.ask(Method::GET, path, Some(token), None).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<Value>,
    ) -> Result<Value, Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            Failure::unavailable(format!("{}{path} does not answer: {error}", self.url))
        };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("content-type", "application/json");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let request = request.body(Full::new(body)).map_err(|error| failed(&error))?;
        let response = self.client.request(request).await.map_err(|error| failed(&error))?;
        let status = response.status();
        let bytes =
            response.into_body().collect().await.map_err(|error| failed(&error))?.to_bytes();
        if status.is_success() {
            serde_json::from_slice(&bytes).map_err(|error| failed(&error))
        } else {
            Err(failed(&format!("{status} {}", String::from_utf8_lossy(&bytes))))
        }
    }
}
