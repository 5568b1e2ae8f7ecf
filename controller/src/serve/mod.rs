//! The HTTP API of one controller: `GET /v1/state`, `GET /v1/vms`, `POST /v1/do`, `GET /metrics`, `GET /healthz`.
//!
//! It knows nothing: every question goes to the shell's queue. A token is asked for before anything is read. What it
//! answers for a failure is [`Failure`] as JSON, whatever the status.

mod listen;
mod metrics;

use std::time::Duration;

use api::{Done, Failure, Request};
use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Request as HttpRequest, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::config::Token;
use crate::shell::{Incoming, Question};

/// Longest request, in bytes; a matrix has 64 KiB at most.
const LONGEST: usize = 1 << 20;
/// How long a commit is waited for.
const COMMIT: Duration = Duration::from_secs(20);
/// How long the shell may take to look.
const LOOK: Duration = Duration::from_secs(5);

#[derive(Clone)]
struct Shared {
    /// A hash, so that a comparison says nothing about the token, not even its length.
    token: [u8; 32],
    queue: mpsc::Sender<Incoming>,
}

/// Serves until the shell ends.
pub(crate) async fn serve(listener: TcpListener, token: Token, queue: mpsc::Sender<Incoming>) {
    let shared = Shared { token: Sha256::digest(token.reveal()).into(), queue };
    let routes = Router::new()
        .route("/v1/state", get(state))
        .route("/v1/vms", get(vms))
        .route("/v1/do", post(order))
        .route("/metrics", get(metrics))
        .layer(DefaultBodyLimit::max(LONGEST))
        .layer(middleware::from_fn_with_state(shared.clone(), allow))
        .route("/healthz", get(health))
        .with_state(shared);
    if let Err(error) = axum::serve(listen::Few::new(listener), routes).await {
        tracing::error!(%error, "the API has ended");
    }
}

async fn allow(State(shared): State<Shared>, request: HttpRequest, next: Next) -> Response {
    if is_allowed(&shared.token, request.headers()) {
        next.run(request).await
    } else {
        failed(Failure::NotAllowed)
    }
}

fn is_allowed(token: &[u8; 32], headers: &HeaderMap) -> bool {
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(given) = given.and_then(|value| value.strip_prefix("Bearer ")) else { return false };
    let given: [u8; 32] = Sha256::digest(given.trim()).into();
    // All bytes are looked at, whatever the first of them say.
    given.iter().zip(token).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

async fn state(State(shared): State<Shared>) -> Response {
    match ask(&shared, LOOK, Question::State).await {
        Some(Ok(state)) => Json(state).into_response(),
        Some(Err(failure)) => failed(failure),
        None => busy(),
    }
}

async fn vms(State(shared): State<Shared>) -> Response {
    match ask(&shared, LOOK, Question::Vms).await {
        Some(Ok(vms)) => Json(vms).into_response(),
        Some(Err(failure)) => failed(failure),
        None => busy(),
    }
}

async fn order(State(shared): State<Shared>, body: Bytes) -> Response {
    let request: Request = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => {
            let why = format!("this is no request of version {}: {error}", api::VERSION);
            return failed(Failure::Refused { why });
        }
    };
    let answer: Option<Result<Done, Failure>> =
        ask(&shared, COMMIT, |answer| Question::Do(request, answer)).await;
    match answer {
        Some(Ok(done)) => Json(done).into_response(),
        Some(Err(failure)) => failed(failure),
        None => {
            let look = format!(
                "it was not committed within {} s, and may still be: look with `hactl status` and `hactl incidents` \
                 before ordering it again",
                COMMIT.as_secs()
            );
            failed(Failure::Unknown { look })
        }
    }
}

async fn metrics(State(shared): State<Shared>) -> Response {
    match ask(&shared, LOOK, Question::Metrics).await {
        Some((leads, state)) => {
            let kind = [(CONTENT_TYPE, "text/plain; version=0.0.4")];
            (kind, metrics::text(leads, &state)).into_response()
        }
        None => busy(),
    }
}

/// Whether the shell turns; whom it follows is no question of health.
async fn health(State(shared): State<Shared>) -> Response {
    match ask(&shared, LOOK, Question::Alive).await {
        Some(()) => "ok\n".into_response(),
        None => busy(),
    }
}

async fn ask<T>(
    shared: &Shared,
    patience: Duration,
    question: impl FnOnce(oneshot::Sender<T>) -> Question,
) -> Option<T> {
    let (answer, answered) = oneshot::channel();
    let asking = async {
        shared.queue.send(Incoming::Question(question(answer))).await.ok()?;
        answered.await.ok()
    };
    timeout(patience, asking).await.ok().flatten()
}

fn failed(failure: Failure) -> Response {
    let status = match &failure {
        Failure::NotLeader { .. } => StatusCode::MISDIRECTED_REQUEST,
        Failure::NotAllowed => StatusCode::UNAUTHORIZED,
        Failure::Refused { .. } => StatusCode::CONFLICT,
        Failure::Unknown { .. } => StatusCode::GATEWAY_TIMEOUT,
    };
    (status, Json(failure)).into_response()
}

fn busy() -> Response {
    let why = "this controller does not answer itself: it is stopping, or very busy".to_owned();
    (StatusCode::SERVICE_UNAVAILABLE, Json(Failure::Refused { why })).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn only_the_whole_token_opens() {
        let token = Sha256::digest("correct-horse-battery").into();
        let allowed = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
            is_allowed(&token, &headers)
        };
        assert!(allowed("Bearer correct-horse-battery"));
        for wrong in ["Bearer correct-horse-batter", "Bearer ", "correct-horse-battery", "Basic x"]
        {
            assert!(!allowed(wrong), "{wrong}");
        }
        assert!(!is_allowed(&token, &HeaderMap::new()));
    }
}
