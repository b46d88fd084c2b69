//! Descriptors that the child hands to the supervisor, one message each.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use crate::Error;
use crate::egress::{Bound, Sockets};
use crate::plan::{EgressPlan, Protocol};

/// What came.
#[derive(Debug)]
pub(super) enum Received {
    /// A descriptor.
    Descriptor(OwnedFd),
    /// A message without one: the child has nothing to hand over in its place.
    Nothing,
    /// The child has ended.
    Closed,
}

/// Waits for the next message.
///
/// # Errors
///
/// What `recvmsg(2)` answered.
pub(super) fn receive(control: BorrowedFd<'_>) -> std::io::Result<Received> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let message = recvmsg(control, &mut [IoSliceMut::new(&mut byte)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let descriptor = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    Ok(match (descriptor, message.bytes) {
        (Some(descriptor), _) => Received::Descriptor(descriptor),
        (None, 0) => Received::Closed,
        (None, _) => Received::Nothing,
    })
}

/// Receives the sockets of a plan that the child has bound in its network namespace. `None` if the child failed before.
///
/// # Errors
///
/// What `recvmsg(2)` answered.
pub(super) fn receive_sockets(plan: &EgressPlan, control: BorrowedFd<'_>) -> Result<Option<Sockets>, Error> {
    let mut sockets = Sockets::default();
    for socket in &plan.sockets {
        match receive(control) {
            Ok(Received::Descriptor(descriptor)) => sockets.add(
                *socket,
                match socket.protocol {
                    Protocol::Tcp => Bound::Stream(descriptor.into()),
                    Protocol::Udp => Bound::Datagram(descriptor.into()),
                },
            ),
            Ok(Received::Nothing) if socket.optional => {}
            Ok(Received::Nothing | Received::Closed) => return Ok(None),
            Err(source) => return Err(Error::System { operation: "receiving the proxy's sockets", source }),
        }
    }
    Ok(Some(sockets))
}
