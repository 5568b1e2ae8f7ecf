//! The three ioctls of the kernel's watchdog interface that Holdfast uses. The only unsafe code of the project.
#![allow(unsafe_code)] // Kernel calls that no crate wraps; each block says why it is sound.

use std::ffi::c_int;
use std::fs::File;
use std::os::fd::AsRawFd as _;

use nix::errno::Errno;

/// `struct watchdog_info` of `linux/watchdog.h`.
#[repr(C)]
#[derive(Default)]
struct RawSupport {
    options: u32,
    firmware_version: u32,
    identity: [u8; 32],
}

/// What the device says of itself.
pub(super) struct Support {
    /// `WDIOF_*` bits.
    pub(super) options: u32,
    /// The driver's name for the device.
    pub(super) identity: String,
}

/// The device disarms when it is closed after a written `V`.
pub(super) const MAGIC_CLOSE: u32 = 0x0100;

mod raw {
    use std::ffi::c_int;

    nix::ioctl_read!(get_support, b'W', 0, super::RawSupport);
    nix::ioctl_readwrite!(set_timeout, b'W', 6, c_int);
    nix::ioctl_read!(get_timeout, b'W', 7, c_int);
}

/// WDIOC_GETSUPPORT.
pub(super) fn support(device: &File) -> Result<Support, Errno> {
    let mut support = RawSupport::default();
    // SAFETY: the descriptor is open for as long as `device` is borrowed, and the kernel writes at most the 40 bytes
    // of this `repr(C)` struct, for which every bit pattern is a value.
    unsafe { raw::get_support(device.as_raw_fd(), &raw mut support) }?;
    let name = support.identity.split(|&byte| byte == 0).next().unwrap_or_default();
    let identity = String::from_utf8_lossy(name).into_owned();
    Ok(Support { options: support.options, identity })
}

/// WDIOC_SETTIMEOUT: the seconds that the driver says it took. Feeds the device.
pub(super) fn set_timeout(device: &File, seconds: i32) -> Result<i32, Errno> {
    let mut seconds: c_int = seconds;
    // SAFETY: the descriptor is open, and the kernel reads and writes one int that outlives the call.
    unsafe { raw::set_timeout(device.as_raw_fd(), &raw mut seconds) }?;
    Ok(seconds)
}

/// WDIOC_GETTIMEOUT: the seconds that are in force.
pub(super) fn timeout(device: &File) -> Result<i32, Errno> {
    let mut seconds: c_int = 0;
    // SAFETY: the descriptor is open, and the kernel writes one int that outlives the call.
    unsafe { raw::get_timeout(device.as_raw_fd(), &raw mut seconds) }?;
    Ok(seconds)
}
