//! Foca's packets as bytes, by postcard: byte for byte what foca's own codec writes. That one asks the buffer for room
//! before each byte; this one writes into memory of its own and asks once.

use bytes::{Buf, BufMut};
use foca::{Header, PostcardCodec};
use serde::Serialize;

use crate::identity::Member;

/// Bytes of the longest header: three members (the third is who is probed through others), numbers, and room to spare.
const LONGEST: usize = 384;

pub(super) struct Codec;

impl foca::Codec<Member> for Codec {
    type Error = postcard::Error;

    fn encode_header(
        &mut self,
        header: &Header<Member>,
        buf: impl BufMut,
    ) -> Result<(), Self::Error> {
        put(header, buf)
    }

    fn decode_header(&mut self, buf: impl Buf) -> Result<Header<Member>, Self::Error> {
        PostcardCodec.decode_header(buf)
    }

    fn encode_member(
        &mut self,
        member: &foca::Member<Member>,
        buf: impl BufMut,
    ) -> Result<(), Self::Error> {
        put(member, buf)
    }

    fn decode_member(&mut self, buf: impl Buf) -> Result<foca::Member<Member>, Self::Error> {
        PostcardCodec.decode_member(buf)
    }
}

fn put(what: &impl Serialize, mut buf: impl BufMut) -> Result<(), postcard::Error> {
    let mut memory = [0; LONGEST];
    let bytes = postcard::to_slice(what, &mut memory)?;
    if buf.remaining_mut() < bytes.len() {
        return Err(postcard::Error::SerializeBufferFull);
    }
    buf.put_slice(bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use foca::{Codec as _, Message};
    use uuid::Uuid;

    use super::*;

    /// As long as a member can be.
    fn member(id: u128) -> Member {
        let addr = SocketAddr::from(([0xfd00, 0, 0, 0, 0, 0, 0, 1], 65535));
        let (id, boot) = (Uuid::from_u128(id), Uuid::from_u128(u128::MAX));
        Member { id, generation: u64::MAX, boot, addr, ping: addr, controller: true }
    }

    #[test]
    fn the_bytes_are_those_of_focas_own_codec() {
        let message = Message::PingReq { target: member(3), probe_number: u8::MAX };
        let header = Header { src: member(1), src_incarnation: u16::MAX, dst: member(2), message };
        let (mut ours, mut focas) = (Vec::new(), Vec::new());
        Codec.encode_header(&header, &mut ours).expect("it is short enough");
        PostcardCodec.encode_header(&header, &mut focas).expect("a vector grows");
        assert_eq!(ours, focas);
        assert_eq!(Codec.decode_header(ours.as_slice()), Ok(header));

        let known = foca::Member::new(member(7), u16::MAX, foca::State::Suspect);
        let (mut ours, mut focas) = (Vec::new(), Vec::new());
        Codec.encode_member(&known, &mut ours).expect("it is short enough");
        PostcardCodec.encode_member(&known, &mut focas).expect("a vector grows");
        assert_eq!(ours, focas);
    }

    #[test]
    fn what_has_no_room_leaves_the_buffer_clean() {
        let known = foca::Member::new(member(7), 1, foca::State::Alive);
        let mut buf = Vec::new().limit(20);
        assert!(Codec.encode_member(&known, &mut buf).is_err());
        assert!(buf.get_ref().is_empty());
    }
}
