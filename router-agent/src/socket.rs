//! Packet sockets as capture needs them: a large receive buffer, a kernel filter, and the count of what was missed.

use std::io;
use std::mem;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};

use socket2::{Domain, SockFilter, Socket, Type};

/// What the kernel holds for us while we are busy.
const RECEIVE_BUFFER_BYTES: i32 = 64 * 1024 * 1024;

/// What is copied of each packet: all headers and the first kilobytes of payload.
pub(crate) const SNAP_BYTES: u32 = 2_048;

/// A bound on the filter's length: the kernel takes 4,096 instructions.
const ADDRESSES_MAX: usize = 128;

/// A packet socket that is not bound yet.
pub(crate) struct PacketSocket {
    socket: Socket,
}

/// Reads how many packets the kernel dropped because its buffer was full.
pub(crate) struct Statistics {
    socket: Socket,
}

impl PacketSocket {
    /// Makes a socket that hears what comes in, and what the device itself (`own`) sends out. What is merely
    /// forwarded out was heard when it came in.
    pub(crate) fn new(own: &[IpAddr]) -> io::Result<Self> {
        // No protocol: until it is bound to an interface it hears nothing.
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        grow_receive_buffer(&socket);
        socket.attach_filter(&filter(own))?;
        Ok(Self { socket })
    }

    pub(crate) fn statistics(&self) -> io::Result<Statistics> {
        Ok(Statistics { socket: self.socket.try_clone()? })
    }

    /// Gives the socket away; who takes it closes it.
    pub(crate) fn into_raw_fd(self) -> RawFd {
        self.socket.into_raw_fd()
    }
}

impl Statistics {
    /// Packets dropped since the last call.
    pub(crate) fn dropped(&self) -> io::Result<u64> {
        packet_statistics(&self.socket).map(|statistics| u64::from(statistics.tp_drops))
    }
}

/// Asks for a large receive buffer: past the system's limit with the right to, else up to it.
pub(crate) fn grow_receive_buffer(socket: &Socket) {
    if force_receive_buffer(socket).is_err() {
        // The kernel cuts the size to its limit and does not fail.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES.unsigned_abs() as usize);
    }
}

#[expect(unsafe_code, reason = "SO_RCVBUFFORCE has no safe wrapper")]
fn force_receive_buffer(socket: &Socket) -> io::Result<()> {
    let size: libc::c_int = RECEIVE_BUFFER_BYTES;
    // SAFETY: the pointer and the length are those of a live c_int; the descriptor is open for the whole call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUFFORCE,
            (&raw const size).cast(),
            mem::size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[expect(unsafe_code, reason = "PACKET_STATISTICS has no safe wrapper")]
fn packet_statistics(socket: &Socket) -> io::Result<libc::tpacket_stats> {
    let mut statistics = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
    let mut size = mem::size_of::<libc::tpacket_stats>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `size` bytes to a live struct of that size, which any bytes are valid for.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut statistics).cast(),
            &raw mut size,
        )
    };
    if result == 0 { Ok(statistics) } else { Err(io::Error::last_os_error()) }
}

// Classic BPF (linux/filter.h): instruction codes and the places outside the packet that it can load from.
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const JUMP: u16 = 0x05;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
const PROTOCOL: u32 = 0xffff_f000;
const PACKET_TYPE: u32 = 0xffff_f004;
const NETWORK_HEADER: u32 = 0xfff0_0000;
const OUTGOING: u32 = 4;

/// Takes what does not go out, and of what goes out what one of `own` sent.
fn filter(own: &[IpAddr]) -> Vec<SockFilter> {
    let op = |code, k| SockFilter::new(code, 0, 0, k);
    let unless = |k, skip| SockFilter::new(JUMP_IF_EQUAL, 0, skip, k);
    let mut v4 = vec![op(LOAD_WORD, NETWORK_HEADER + 12)];
    let mut v6 = Vec::new();
    for address in own.iter().take(ADDRESSES_MAX) {
        match address {
            IpAddr::V4(address) => v4.extend([unless(u32::from(*address), 1), op(RETURN, SNAP_BYTES)]),
            IpAddr::V6(address) => {
                let bits = u128::from(*address);
                for (word, left) in (0u32..4).zip([7u8, 5, 3, 1]) {
                    v6.push(op(LOAD_WORD, NETWORK_HEADER + 8 + word * 4));
                    let part = (bits >> (96 - word * 32)) & u128::from(u32::MAX);
                    v6.push(unless(u32::try_from(part).unwrap_or(0), left));
                }
                v6.push(op(RETURN, SNAP_BYTES));
            }
        }
    }
    v4.push(op(RETURN, 0));
    v6.push(op(RETURN, 0));
    let mut program = vec![
        op(LOAD_BYTE, PACKET_TYPE),
        SockFilter::new(JUMP_IF_EQUAL, 1, 0, OUTGOING),
        op(RETURN, SNAP_BYTES),
        op(LOAD_HALF, PROTOCOL),
        SockFilter::new(JUMP_IF_EQUAL, 2, 0, 0x0800),
        SockFilter::new(JUMP_IF_EQUAL, 2, 0, 0x86dd),
        op(RETURN, 0),
        op(JUMP, 1),
        op(JUMP, u32::try_from(v4.len()).unwrap_or(0)),
    ];
    program.extend(v4);
    program.extend(v6);
    program
}
