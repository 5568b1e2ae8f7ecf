//! Keys, authentication codes and encryption of the two cipher suites (IPMI 2.0, 13.28 to 13.33).

use aes::Aes128;
use cbc::cipher::{Block, BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::Malformed;
use super::packet::{AUTHENTICATED_FROM, HEADER, Sealed, sealed_start};
use crate::bmc::{CipherSuite, Secret};

/// Length of an AES block and of an initialisation vector.
const BLOCK: usize = 16;
/// "Next header" of a sealed packet, always this.
const NEXT_HEADER: u8 = 0x07;

/// Length of a whole authentication code.
fn code_length(suite: CipherSuite) -> usize {
    match suite {
        CipherSuite::S17 => 32,
        CipherSuite::S3 => 20,
    }
}

/// Length of the truncated code in packets and in RAKP 4.
fn check_length(suite: CipherSuite) -> usize {
    match suite {
        CipherSuite::S17 => 16,
        CipherSuite::S3 => 12,
    }
}

fn mac(suite: CipherSuite, key: &[u8], parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    fn run<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(fed::<M>(key, parts).finalize().into_bytes().to_vec())
    }
    match suite {
        CipherSuite::S17 => run::<Hmac<Sha256>>(key, parts),
        CipherSuite::S3 => run::<Hmac<Sha1>>(key, parts),
    }
}

/// Compares in constant time; `code` may be truncated by the caller.
fn verify(suite: CipherSuite, key: &[u8], parts: &[&[u8]], code: &[u8]) -> bool {
    match suite {
        CipherSuite::S17 => fed::<Hmac<Sha256>>(key, parts).verify_truncated_left(code).is_ok(),
        CipherSuite::S3 => fed::<Hmac<Sha1>>(key, parts).verify_truncated_left(code).is_ok(),
    }
}

fn fed<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> M {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("an HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac
}

/// All that both sides have told each other by the end of RAKP 2, and what is computed from it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The suite in use.
    pub suite: CipherSuite,
    /// The console's id for the session.
    pub console: u32,
    /// The BMC's id for the session.
    pub bmc: u32,
    /// The console's random number.
    pub console_random: [u8; 16],
    /// The BMC's random number.
    pub bmc_random: [u8; 16],
    /// The BMC's GUID.
    pub guid: [u8; 16],
    /// Role byte of RAKP 1.
    pub role: u8,
    /// User name of RAKP 1, at most 16 bytes.
    pub user: Vec<u8>,
}

impl Exchange {
    /// The code that proves in RAKP 2 that the BMC knows the password.
    pub fn rakp2_code(&self, password: &Secret) -> Vec<u8> {
        self.with_rakp2(|parts| mac(self.suite, password.expose(), parts).to_vec())
    }

    /// True if `code` begins with the right code; some BMCs append padding.
    pub fn rakp2_is_right(&self, password: &Secret, code: &[u8]) -> bool {
        let Some(code) = code.get(..code_length(self.suite)) else { return false };
        self.with_rakp2(|parts| verify(self.suite, password.expose(), parts, code))
    }

    /// The code that proves in RAKP 3 that the console knows the password.
    pub fn rakp3_code(&self, password: &Secret) -> Vec<u8> {
        self.with_rakp3(|parts| mac(self.suite, password.expose(), parts).to_vec())
    }

    /// True if `code` begins with the right code.
    pub fn rakp3_is_right(&self, password: &Secret, code: &[u8]) -> bool {
        let Some(code) = code.get(..code_length(self.suite)) else { return false };
        self.with_rakp3(|parts| verify(self.suite, password.expose(), parts, code))
    }

    /// The keys of the session. The BMC has no Kg of its own, so the password takes its place.
    pub fn keys(&self, password: &Secret) -> Keys {
        let role = [self.role, self.user_length()];
        let parts: [&[u8]; 4] = [&self.console_random, &self.bmc_random, &role, &self.user];
        let integrity = mac(self.suite, password.expose(), &parts);
        Keys {
            suite: self.suite,
            packet: mac(self.suite, &integrity, &[&[1; 20]]),
            cipher: mac(self.suite, &integrity, &[&[2; 20]]),
            integrity,
        }
    }

    /// The integrity check value of RAKP 4.
    pub fn rakp4_check(&self, keys: &Keys) -> Vec<u8> {
        let bmc = self.bmc.to_le_bytes();
        let mut code = mac(self.suite, &keys.integrity, &[&self.console_random, &bmc, &self.guid]);
        code.truncate(check_length(self.suite));
        code.to_vec()
    }

    /// True if `check` begins with the right value.
    pub fn rakp4_is_right(&self, keys: &Keys, check: &[u8]) -> bool {
        let Some(check) = check.get(..check_length(self.suite)) else { return false };
        let bmc = self.bmc.to_le_bytes();
        verify(self.suite, &keys.integrity, &[&self.console_random, &bmc, &self.guid], check)
    }

    fn with_rakp2<T>(&self, then: impl FnOnce(&[&[u8]]) -> T) -> T {
        let (console, bmc) = (self.console.to_le_bytes(), self.bmc.to_le_bytes());
        let role = [self.role, self.user_length()];
        then(&[
            &console,
            &bmc,
            &self.console_random,
            &self.bmc_random,
            &self.guid,
            &role,
            &self.user,
        ])
    }

    fn with_rakp3<T>(&self, then: impl FnOnce(&[&[u8]]) -> T) -> T {
        let console = self.console.to_le_bytes();
        let role = [self.role, self.user_length()];
        then(&[&self.bmc_random, &console, &role, &self.user])
    }

    fn user_length(&self) -> u8 {
        u8::try_from(self.user.len()).unwrap_or(u8::MAX)
    }
}

/// The keys of one session, wiped when dropped.
pub struct Keys {
    suite: CipherSuite,
    /// SIK.
    integrity: Zeroizing<Vec<u8>>,
    /// K1.
    packet: Zeroizing<Vec<u8>>,
    /// K2, of which AES takes the first 16 bytes.
    cipher: Zeroizing<Vec<u8>>,
}

impl Keys {
    /// A whole datagram that carries `message` encrypted and authenticated. `iv` must be new and
    /// unpredictable for each.
    pub fn seal(&self, session: u32, sequence: u32, iv: [u8; BLOCK], message: &[u8]) -> Vec<u8> {
        let payload = self.encrypt(iv, message);
        let mut datagram = sealed_start(session, sequence, &payload);
        let pad = (datagram.len() - AUTHENTICATED_FROM + 2).next_multiple_of(4)
            - (datagram.len() - AUTHENTICATED_FROM + 2);
        datagram.extend(std::iter::repeat_n(0xff, pad));
        datagram.extend([u8::try_from(pad).unwrap_or(0), NEXT_HEADER]);
        let code = mac(self.suite, &self.packet, &[&datagram[AUTHENTICATED_FROM..]]);
        datagram.extend(&code[..check_length(self.suite)]);
        datagram
    }

    /// The message of a sealed packet, after its code was checked.
    ///
    /// # Errors
    /// The code is wrong, or what it covers is not a packet of this suite. Nothing of it was used.
    pub fn unseal(&self, packet: &Sealed<'_>) -> Result<Vec<u8>, Malformed> {
        let (covered, code) = packet
            .body
            .split_at_checked(packet.body.len().saturating_sub(check_length(self.suite)))
            .ok_or(Malformed("no authentication code"))?;
        if code.len() != check_length(self.suite)
            || !verify(self.suite, &self.packet, &[covered], code)
        {
            return Err(Malformed("wrong authentication code"));
        }
        let trailer = covered.get(HEADER + packet.payload.len()..).unwrap_or_default();
        match trailer {
            [pad @ .., length, NEXT_HEADER] if pad.len() == usize::from(*length) => {
                self.decrypt(packet.payload)
            }
            _ => Err(Malformed("session trailer")),
        }
    }

    fn encrypt(&self, iv: [u8; BLOCK], message: &[u8]) -> Vec<u8> {
        let pad = (message.len() + 1).next_multiple_of(BLOCK) - message.len() - 1;
        let mut clear = message.to_vec();
        clear.extend((1..).take(pad));
        clear.push(u8::try_from(pad).unwrap_or(0));
        let mut cipher = cbc::Encryptor::<Aes128>::new(&self.aes_key().into(), &iv.into());
        let mut payload = iv.to_vec();
        for chunk in clear.chunks_exact(BLOCK) {
            let mut block = Block::<Aes128>::default();
            block.copy_from_slice(chunk);
            cipher.encrypt_block(&mut block);
            payload.extend(block);
        }
        payload
    }

    fn decrypt(&self, payload: &[u8]) -> Result<Vec<u8>, Malformed> {
        let (iv, sealed) = payload.split_first_chunk().ok_or(Malformed("no vector"))?;
        if sealed.is_empty() || !sealed.len().is_multiple_of(BLOCK) {
            return Err(Malformed("length of the encrypted part"));
        }
        let mut cipher = cbc::Decryptor::<Aes128>::new(&self.aes_key().into(), &(*iv).into());
        let mut clear = Vec::with_capacity(sealed.len());
        for chunk in sealed.chunks_exact(BLOCK) {
            let mut block = Block::<Aes128>::default();
            block.copy_from_slice(chunk);
            cipher.decrypt_block(&mut block);
            clear.extend(block);
        }
        let pad = usize::from(clear.pop().unwrap_or_default());
        // Padding counts 1, 2, 3...; it was authenticated, so a wrong one is a broken BMC.
        let length = clear.len().checked_sub(pad).ok_or(Malformed("padding"))?;
        if pad >= BLOCK || !clear[length..].iter().zip(1u8..).all(|(byte, count)| *byte == count) {
            return Err(Malformed("padding"));
        }
        clear.truncate(length);
        Ok(clear)
    }

    fn aes_key(&self) -> [u8; BLOCK] {
        let mut key = [0; BLOCK];
        key.iter_mut().zip(self.cipher.iter()).for_each(|(to, from)| *to = *from);
        key
    }
}

#[cfg(test)]
mod tests {
    use super::super::packet::Packet;
    use super::*;

    fn exchange(suite: CipherSuite) -> Exchange {
        Exchange {
            suite,
            console: 0x0102_0304,
            bmc: 0x0506_0708,
            console_random: [1; 16],
            bmc_random: [2; 16],
            guid: [3; 16],
            role: 0x13,
            user: b"fence".to_vec(),
        }
    }

    fn unseal(keys: &Keys, datagram: &[u8]) -> Result<Vec<u8>, Malformed> {
        match Packet::decode(datagram)? {
            Packet::Sealed(sealed) => keys.unseal(&sealed),
            Packet::Legacy(_) | Packet::Plain(..) => Err(Malformed("not sealed")),
        }
    }

    #[test]
    fn what_is_sealed_comes_back_and_no_bit_can_be_changed() {
        for suite in [CipherSuite::S17, CipherSuite::S3] {
            let keys = exchange(suite).keys(&Secret::new("secret".into()));
            for length in 0..40 {
                let message = vec![0xab; length];
                let datagram = keys.seal(9, 1, [7; 16], &message);
                assert_eq!(unseal(&keys, &datagram), Ok(message));
                for at in AUTHENTICATED_FROM..datagram.len() {
                    let mut changed = datagram.clone();
                    changed[at] ^= 1;
                    assert!(unseal(&keys, &changed).is_err(), "{suite} {length} {at}");
                }
                for shorter in 0..datagram.len() {
                    assert!(unseal(&keys, &datagram[..shorter]).is_err());
                }
            }
        }
    }

    #[test]
    fn another_password_proves_nothing() {
        let (right, wrong) = (Secret::new("secret".into()), Secret::new("Secret".into()));
        for suite in [CipherSuite::S17, CipherSuite::S3] {
            let exchange = exchange(suite);
            let code = exchange.rakp2_code(&right);
            assert!(exchange.rakp2_is_right(&right, &code));
            assert!(!exchange.rakp2_is_right(&wrong, &code));
            assert!(!exchange.rakp2_is_right(&right, &code[..code.len() - 1]));
            assert!(!exchange.rakp2_is_right(&right, &[]));
            assert!(!exchange.rakp3_is_right(&wrong, &exchange.rakp3_code(&right)));
            let check = exchange.rakp4_check(&exchange.keys(&right));
            assert!(!exchange.rakp4_is_right(&exchange.keys(&wrong), &check));
            assert!(!exchange.rakp4_is_right(&exchange.keys(&right), &check[..4]));
        }
    }
}
