//! Connections: whether something takes them, and how long a machine takes to say so.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use fencing::checks::State;
use tokio::net::TcpStream;

use super::plan::Outcome;

/// Whether something takes connections.
pub(super) async fn connect(address: SocketAddr, within: Duration) -> Outcome {
    match tokio::time::timeout(within, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Outcome::ok(&format!("{address} takes connections")),
        Ok(Err(error)) => {
            Outcome::critical(error.raw_os_error().unwrap_or(0), &format!("{address}: {error}"))
        }
        Err(_) => Outcome::critical(0, &format!("{address} did not answer within {within:?}")),
    }
}

/// How long a machine takes. One that refuses the connection has answered too: this asks for the way, not for a service.
pub(super) async fn ping(
    address: SocketAddr,
    within: Duration,
    (warning, critical): (Duration, Duration),
) -> Outcome {
    let began = Instant::now();
    let answer = tokio::time::timeout(within, TcpStream::connect(address)).await;
    let took = began.elapsed();
    match answer {
        Ok(Err(error)) if error.kind() != io::ErrorKind::ConnectionRefused => {
            Outcome::critical(error.raw_os_error().unwrap_or(0), &format!("{address}: {error}"))
        }
        Ok(Ok(_) | Err(_)) => {
            let state = if took >= critical {
                State::Critical
            } else if took >= warning {
                State::Warning
            } else {
                State::Ok
            };
            let ms = took.as_secs_f64() * 1000.0;
            let code = i32::try_from(took.as_millis()).unwrap_or(i32::MAX);
            Outcome::new(state, code, &format!("{address} answered after {ms:.1} ms"))
        }
        Err(_) => Outcome::critical(0, &format!("{address} did not answer within {within:?}")),
    }
}
