//! A cable on which nothing is lost, and each frame takes a while of its own, so that frames overtake each other.
//!
//! ```text
//!  host --- n5-management   this thread   slow-near ~ slow-far --- bridge
//! ```
//!
//! `tc netem` does that in the kernel, where the kernel has it; many small ones have not, ours among them. So the frames
//! are taken from one end by a packet socket and given to the other later.

use std::collections::BTreeMap;
use std::ops::Range;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use nix::ifaddrs::getifaddrs;
use nix::libc::PACKET_OUTGOING;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, recvfrom, send,
    socket,
};

use super::cables::cable;
use super::must;

/// The two ends of the piece beside the bridge.
const NEAR: &str = "slow-near";
const FAR: &str = "slow-far";
/// Longest wait for a frame before it is looked whether the cable is mended.
const LOOK: Duration = Duration::from_millis(20);
/// More than any frame has here.
const LONGEST_FRAME: usize = 4096;

/// What a slow cable has carried.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Carried {
    /// Frames, both ways.
    pub(crate) frames: u64,
    /// Of these, frames that came out after one that had gone in later.
    pub(crate) overtaken: u64,
}

/// A slow cable. There is room for one.
pub(crate) struct Slow {
    outer: String,
    bridge: String,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Carried>,
}

impl Slow {
    /// From now on each frame of this host on this network takes a time out of this range, each way.
    pub(crate) fn lay(host: &str, network: &str, takes: Range<Duration>) -> Result<Self> {
        let (outer, bridge) = (cable(host, network), network.to_owned());
        must("ip", &["link", "add", NEAR, "type", "veth", "peer", "name", FAR])?;
        must("ip", &["link", "set", NEAR, "up"])?;
        let ends = [end_of(&outer)?, end_of(NEAR)?];
        must("ip", &["link", "set", &outer, "nomaster"])?;
        must("ip", &["link", "set", FAR, "master", &bridge, "up"])?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || carry(&ends, &takes, &stopped));
        Ok(Self { outer, bridge, stop, thread })
    }

    /// It is a cable as any other. What was on its way is lost.
    pub(crate) fn mend(self) -> Result<Carried> {
        self.stop.store(true, Ordering::Relaxed);
        let carried = self.thread.join().map_err(|_| anyhow!("nobody carried any more"))?;
        must("ip", &["link", "delete", NEAR])?;
        must("ip", &["link", "set", &self.outer, "master", &self.bridge])?;
        Ok(carried)
    }
}

/// A socket that gets and sends whole frames at this device.
fn end_of(device: &str) -> Result<OwnedFd> {
    let address = getifaddrs()?
        .filter(|known| known.interface_name == device)
        .find_map(|known| known.address?.as_link_addr().copied())
        .with_context(|| format!("no {device}"))?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let end = socket(AddressFamily::Packet, SockType::Raw, flags, SockProtocol::EthAll)?;
    bind(end.as_raw_fd(), &address)?;
    // Until it was bound it heard every device.
    while recvfrom::<LinkAddr>(end.as_raw_fd(), &mut [0; 1]).is_ok() {}
    Ok(end)
}

fn carry(ends: &[OwnedFd; 2], takes: &Range<Duration>, stop: &AtomicBool) -> Carried {
    let mut carried = Carried::default();
    let mut waiting = BTreeMap::<(Instant, u64), (usize, Vec<u8>)>::new();
    let mut newest = [0; 2];
    while !stop.load(Ordering::Relaxed) {
        wait(ends, waiting.first_key_value().map(|((at, _), _)| *at));
        for (from, end) in ends.iter().enumerate() {
            while let Some(frame) = receive(end) {
                carried.frames += 1;
                let at = Instant::now() + span(takes, carried.frames);
                waiting.insert((at, carried.frames), (1 - from, frame));
            }
        }
        while let Some(first) = waiting.first_entry() {
            let (at, number) = *first.key();
            if at > Instant::now() {
                break;
            }
            let (to, frame) = first.remove();
            carried.overtaken += u64::from(number < newest[to]);
            newest[to] = number.max(newest[to]);
            // What cannot leave is lost, as on any cable.
            let _ = send(ends[to].as_raw_fd(), &frame, MsgFlags::empty());
        }
    }
    carried
}

/// How long the frame of this number takes: all times of the range alike, by the golden ratio, so without any dice.
fn span(takes: &Range<Duration>, number: u64) -> Duration {
    let place = (number as f64 * 0.618_033_988_75).fract();
    takes.start + (takes.end - takes.start).mul_f64(place)
}

/// Until a frame is there, or one has to leave.
fn wait(ends: &[OwnedFd; 2], next: Option<Instant>) {
    let left = next.map_or(LOOK, |at| at.saturating_duration_since(Instant::now()).min(LOOK));
    let mut ends = ends.each_ref().map(|end| PollFd::new(end.as_fd(), PollFlags::POLLIN));
    // A wait that was cut short is followed by the next one.
    let _ = poll(&mut ends, PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO));
}

/// The next frame that came in here, ready to leave elsewhere.
fn receive(end: &OwnedFd) -> Option<Vec<u8>> {
    let mut frame = [0; LONGEST_FRAME];
    loop {
        let (length, from) = recvfrom::<LinkAddr>(end.as_raw_fd(), &mut frame).ok()?;
        // Our own frames are heard too, as they leave.
        if from.is_some_and(|from| from.pkttype() == PACKET_OUTGOING) {
            continue;
        }
        let mut frame = frame.get(..length)?.to_vec();
        without_checksum(&mut frame);
        return Some(frame);
    }
}

/// A cable between namespaces carries UDP with half a checksum, which only the kernel knows to be half of one. None at
/// all is as good: RFC 768.
fn without_checksum(frame: &mut [u8]) {
    let is_udp = frame.get(12..14) == Some(&[0x08, 0x00]) && frame.get(23) == Some(&17);
    let words = frame.get(14).map_or(0, |first| usize::from(first & 0x0f));
    let at = 14 + words * 4 + 6;
    if is_udp && let Some(checksum) = frame.get_mut(at..at + 2) {
        checksum.fill(0);
    }
}

#[test]
fn times_are_spread_evenly_and_frames_overtake() {
    let takes = Duration::from_millis(100)..Duration::from_millis(500);
    let spans: Vec<Duration> = (1..=1000).map(|number| span(&takes, number)).collect();
    assert!(spans.iter().all(|span| takes.contains(span)));
    let fast = spans.iter().filter(|span| **span < Duration::from_millis(200)).count();
    assert!((240..=260).contains(&fast), "{fast}");
    assert!(!spans.is_sorted());
}
