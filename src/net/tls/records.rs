//! Bytes on their way into a buffer from which a record is made or sent. No connection lives here.

use rustls::unbuffered::{EncodeError, EncodeTlsData};
use std::io::IoSlice;

/// Appends a message of TLS's own.
pub fn encode<D>(mut message: EncodeTlsData<'_, D>, outgoing: &mut Vec<u8>) {
    let len = outgoing.len();
    if let Err(EncodeError::InsufficientSize(size)) = message.encode(&mut []) {
        outgoing.resize(len + size.required_size, 0);
        let encoded = message.encode(&mut outgoing[len..]);
        debug_assert!(encoded.is_ok(), "it has the size that was asked for");
    }
}

/// Copies what is in `slices`, as much as there is place for.
pub fn gather<'a>(slices: &[IoSlice<'_>], into: &'a mut [u8]) -> &'a [u8] {
    let mut n = 0;
    for slice in slices {
        let taken = slice.len().min(into.len() - n);
        into[n..][..taken].copy_from_slice(&slice[..taken]);
        n += taken;
    }
    &into[..n]
}
