//! A small HTTP client.

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{HeaderMap, Method, Request};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

const ANSWER_WITHIN: Duration = Duration::from_secs(40);

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// The body if it is JSON, else `null`.
    pub json: Value,
    pub body: Bytes,
}

impl Answer {
    /// The JSON of an answer with this status.
    ///
    /// # Panics
    /// With the whole answer if the status is another one.
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self.json
    }
}

/// A client of one gateway, signed in or not.
#[derive(Clone)]
pub struct Client {
    inner: legacy::Client<HttpConnector, Full<Bytes>>,
    url: String,
    token: Option<String>,
}

impl Client {
    pub fn anonymous(url: &str) -> Self {
        Self {
            inner: legacy::Client::builder(TokioExecutor::new()).build_http(),
            url: url.to_owned(),
            token: None,
        }
    }

    /// Signed in by `token`.
    pub fn with_token(url: &str, token: String) -> Self {
        Self { token: Some(token), ..Self::anonymous(url) }
    }

    /// Signs in as `user` by `/dev/token`.
    pub async fn sign_in(url: &str, user: &str) -> Self {
        let anonymous = Self::anonymous(url);
        let answer = anonymous.post("/dev/token", &json!({"userId": user})).await.expect(200);
        let token = answer["token"].as_str().expect("a token");
        Self { token: Some(token.to_owned()), ..anonymous }
    }

    /// The same; `None` when the gateway cannot be reached.
    pub async fn try_sign_in(url: &str, user: &str) -> Option<Self> {
        let anonymous = Self::anonymous(url);
        let body = json!({"userId": user});
        let answer = anonymous.try_request(Method::POST, "/dev/token", Some(&body)).await.ok()?;
        let token = answer.json["token"].as_str()?.to_owned();
        Some(Self { token: Some(token), ..anonymous })
    }

    pub fn token(&self) -> &str {
        self.token.as_deref().expect("signed in")
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path, None).await
    }

    /// `None` when the server cannot be reached.
    pub async fn try_get(&self, path: &str) -> Option<Answer> {
        self.try_request(Method::GET, path, None).await.ok()
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.request(Method::POST, path, Some(body)).await
    }

    pub async fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let what = format!("{method} {path}");
        match self.try_request(method, path, body).await {
            Ok(answer) => answer,
            Err(error) => panic!("{what}: {error}"),
        }
    }

    /// # Errors
    /// Why there is no answer, for people.
    pub async fn try_request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, String> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let request = request.body(Full::new(bytes)).map_err(|error| error.to_string())?;
        self.exchange(request).await
    }

    /// A request to an address that was given out, as it is and without signing in.
    ///
    /// # Errors
    /// Why there is no answer, for people.
    pub async fn try_address(
        &self,
        method: Method,
        address: &str,
        bytes: Bytes,
    ) -> Result<Answer, String> {
        let request = Request::builder().method(method).uri(address).body(Full::new(bytes));
        self.exchange(request.map_err(|error| error.to_string())?).await
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let exchange = async {
            let response =
                self.inner.request(request).await.map_err(|error| format!("{error:?}"))?;
            let (head, body) = response.into_parts();
            let body = body.collect().await.map_err(|error| format!("{error:?}"))?.to_bytes();
            Ok(Answer {
                status: head.status.as_u16(),
                headers: head.headers,
                json: serde_json::from_slice(&body).unwrap_or(Value::Null),
                body,
            })
        };
        match tokio::time::timeout(ANSWER_WITHIN, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {ANSWER_WITHIN:?}")),
        }
    }
}
