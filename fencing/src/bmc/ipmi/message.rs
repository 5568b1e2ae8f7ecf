//! An IPMI request or response inside a payload, with its checksums (IPMI 2.0, 13.8).

use super::Malformed;

/// Address of the BMC.
const BMC: u8 = 0x20;
/// Address of remote console software.
const CONSOLE: u8 = 0x81;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Network function, even.
    pub function: u8,
    /// Command in that function.
    pub command: u8,
    /// Number that the response repeats, 6 bits.
    pub sequence: u8,
    /// Parameters.
    pub data: Vec<u8>,
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Network function of the request, even.
    pub function: u8,
    /// Command of the request.
    pub command: u8,
    /// Number of the request.
    pub sequence: u8,
    /// Completion code, 0 is success (IPMI 2.0, table 5-2).
    pub code: u8,
    /// Result.
    pub data: Vec<u8>,
}

impl Request {
    /// The bytes of the request.
    pub fn encode(&self) -> Vec<u8> {
        encode(BMC, self.function, CONSOLE, self.sequence, self.command, &self.data)
    }

    /// A request from bytes.
    ///
    /// # Errors
    /// Too short, a wrong checksum, or a response.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let (function, sequence, command, data) = decode(bytes, BMC)?;
        if function & 1 != 0 {
            return Err(Malformed("a response where a request belongs"));
        }
        Ok(Self { function, command, sequence, data: data.to_vec() })
    }

    /// The response to this request.
    pub fn answer(&self, code: u8, data: &[u8]) -> Response {
        Response {
            function: self.function,
            command: self.command,
            sequence: self.sequence,
            code,
            data: data.to_vec(),
        }
    }
}

impl Response {
    /// The bytes of the response.
    pub fn encode(&self) -> Vec<u8> {
        let mut data = vec![self.code];
        data.extend(&self.data);
        encode(CONSOLE, self.function | 1, BMC, self.sequence, self.command, &data)
    }

    /// A response from bytes.
    ///
    /// # Errors
    /// Too short, a wrong checksum, or a request.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let (function, sequence, command, data) = decode(bytes, CONSOLE)?;
        if function & 1 == 0 {
            return Err(Malformed("a request where a response belongs"));
        }
        let (code, data) = data.split_first().ok_or(Malformed("no completion code"))?;
        Ok(Self { function: function & !1, command, sequence, code: *code, data: data.to_vec() })
    }
}

fn encode(to: u8, function: u8, from: u8, sequence: u8, command: u8, data: &[u8]) -> Vec<u8> {
    let head = [to, function << 2];
    let mut tail = vec![from, sequence << 2, command];
    tail.extend(data);
    let mut bytes = head.to_vec();
    bytes.push(checksum(&head));
    bytes.extend(&tail);
    bytes.push(checksum(&tail));
    bytes
}

fn decode(bytes: &[u8], to: u8) -> Result<(u8, u8, u8, &[u8]), Malformed> {
    let Some((head, tail)) = bytes.split_first_chunk::<3>() else {
        return Err(Malformed("short message"));
    };
    if sum(head) != 0 || sum(tail) != 0 {
        return Err(Malformed("message checksum"));
    }
    let [address, function, _] = *head;
    let [_, sequence, command, data @ .., _] = tail else {
        return Err(Malformed("short message"));
    };
    if address != to {
        return Err(Malformed("a message for another address"));
    }
    Ok((function >> 2, sequence >> 2, *command, data))
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

fn checksum(bytes: &[u8]) -> u8 {
    sum(bytes).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chassis_status_has_the_bytes_of_the_specification() {
        let request = Request { function: 0, command: 1, sequence: 1, data: vec![] };
        assert_eq!(request.encode(), [0x20, 0x00, 0xe0, 0x81, 0x04, 0x01, 0x7a]);
        assert_eq!(Request::decode(&request.encode()), Ok(request));
    }

    #[test]
    fn a_changed_byte_is_noticed() {
        let response =
            Response { function: 6, command: 1, sequence: 63, code: 0, data: vec![9; 3] };
        let bytes = response.encode();
        assert_eq!(Response::decode(&bytes), Ok(response));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            assert!(Response::decode(&changed).is_err(), "{at}");
            assert!(Response::decode(&bytes[..at]).is_err(), "{at}");
        }
    }
}
