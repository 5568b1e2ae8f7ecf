//! A BMC on a UDP socket.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use fencing::bmc::ipmi::packet::LONGEST;
use tokio::net::UdpSocket;
use tokio::time::{Duration, Instant, timeout_at};

use super::{BmcServer, Chassis};

/// Serves a BMC until the future is dropped. The caller keeps a clone of `server` to change its
/// behaviour while it runs.
///
/// # Errors
/// Never returns otherwise than by an error of the socket that does not pass. The BMC is silent
/// from then on.
pub async fn serve<C: Chassis>(
    socket: UdpSocket,
    server: Arc<Mutex<BmcServer>>,
    mut chassis: C,
) -> io::Result<()> {
    let origin = Instant::now();
    let mut buffer = [0; LONGEST + 1];
    loop {
        let due = lock(&server).poll_timeout().map(|(due, _)| due);
        // Looks up now and then without being asked, as the behaviour may be changed from outside.
        let due = origin + due.unwrap_or_else(|| origin.elapsed() + Duration::from_secs(1));
        match timeout_at(due, socket.recv_from(&mut buffer)).await {
            Err(_) => lock(&server).tick(origin.elapsed(), &mut chassis),
            // Somebody's socket is gone; that is not our trouble.
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Ok(Err(error)) => return Err(error),
            Ok(Ok((length, from))) => {
                let datagram = buffer.get(..length).unwrap_or_default();
                let answers = lock(&server).handle(origin.elapsed(), from, datagram, &mut chassis);
                for answer in answers {
                    // What cannot be sent is lost, as on any network.
                    drop(socket.send_to(&answer, from).await);
                }
            }
        }
    }
}

fn lock(server: &Mutex<BmcServer>) -> std::sync::MutexGuard<'_, BmcServer> {
    server.lock().unwrap_or_else(PoisonError::into_inner)
}
