//! A page over plain HTTP, from this node or near it: its status, and a text that must be in it.

use std::io;
use std::time::Duration;

use fencing::checks::State;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::plan::Outcome;
use super::probe::Page;

/// What is read of a page; a text that stands behind it is not found.
const MOST_PAGE: u64 = 64 * 1024;

/// Asks for the page.
pub(super) async fn ask(page: &Page, within: Duration) -> Outcome {
    match tokio::time::timeout(within, fetch(page)).await {
        Ok(Ok(answer)) => judge(page, &answer),
        Ok(Err(error)) => Outcome::critical(
            error.raw_os_error().unwrap_or(0),
            &format!("{}: {error}", page.address),
        ),
        Err(_) => {
            Outcome::critical(0, &format!("{} did not answer within {within:?}", page.address))
        }
    }
}

async fn fetch(page: &Page) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(page.address).await?;
    // The oldest version that all servers know: the answer ends with the connection, and comes in one piece.
    let ask = format!(
        "GET {} HTTP/1.0\r\nHost: {}\r\nUser-Agent: ha-node-agent\r\nConnection: close\r\n\r\n",
        page.path, page.address
    );
    stream.write_all(ask.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MOST_PAGE).read_to_end(&mut answer).await?;
    Ok(answer)
}

fn judge(page: &Page, answer: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(answer);
    let status = text
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split_whitespace().nth(1))
        .and_then(|status| status.parse::<u16>().ok());
    let Some(status) = status else {
        return Outcome::critical(0, &format!("{} does not speak HTTP", page.address));
    };
    let good = if page.status.is_empty() {
        (200..400).contains(&status)
    } else {
        page.status.contains(&status)
    };
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let absent = page.contains.as_ref().filter(|wanted| !body.contains(wanted.as_str()));
    let code = i32::from(status);
    match (good, absent) {
        (false, _) => Outcome::critical(code, &format!("{} says {status}", page.address)),
        (true, Some(wanted)) => {
            Outcome::critical(code, &format!("{} says {status}, without {wanted:?}", page.address))
        }
        (true, None) => Outcome::new(State::Ok, code, &format!("{} says {status}", page.address)),
    }
}
