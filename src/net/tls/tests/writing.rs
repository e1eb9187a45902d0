//! What is sent to a socket that takes a part of it.

use super::super::*;
use super::pair::*;

#[test]
fn a_blocked_socket_holds_one_record_and_the_rest_waits() {
    for (version, _) in VERSIONS {
        let mut pair = Pair::open(version);
        let text: Vec<u8> = (0..100_000_u32).map(|nth| nth as u8).collect();
        pair.server.socket_mut().room = 1000;
        let n = pair.write(&[IoSlice::new(&text)]).unwrap();
        assert_eq!(n, RECORD_BYTES_MAX);
        let blocked = pair.write(&[IoSlice::new(&text[n..])]);
        assert_eq!(blocked.unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(!pair.server.flush().unwrap());
        // Byte by byte, and with many slices.
        let (mut written, mut received) = (n, Vec::new());
        while received.len() < text.len() {
            pair.server.socket_mut().room = 700;
            let rest: Vec<_> = text[written..].chunks(3000).map(IoSlice::new).collect();
            match pair.write(&rest) {
                Ok(n) => written += n,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            received.extend(pair.receive());
        }
        assert_eq!(received, text);
        assert!(pair.server.flush().unwrap());
    }
}

#[test]
fn an_idle_connection_holds_no_buffer() {
    for (version, _) in VERSIONS {
        let mut pair = Pair::open(version);
        pair.say(&[b'x'; 40_000]);
        assert_eq!(pair.read_all(4096).0.len(), 40_000);
        pair.server.socket_mut().room = 10;
        pair.write(&[IoSlice::new(b"hello\n")]).unwrap();
        pair.server.socket_mut().room = usize::MAX;
        assert!(pair.server.flush().unwrap());
        assert_eq!(pair.held(), 0);
    }
}
