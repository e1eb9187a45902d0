//! The last word, and connections without one.

use super::super::*;
use super::pair::*;

#[test]
fn the_end_of_a_stream_and_a_cut_are_told_apart() {
    for (version, _) in VERSIONS {
        let mut pair = Pair::open(version);
        pair.say(b"bye\n");
        pair.client.send_close_notify();
        pair.send();
        let (text, end) = pair.read_all(100);
        assert_eq!(text, b"bye\n");
        end.unwrap();
        // We may still send, and then say so too.
        assert_eq!(pair.write(&[IoSlice::new(b"bye\n")]).unwrap(), 4);
        assert!(pair.server.finish());
        assert_eq!(pair.receive(), b"bye\n");
        let state = pair.client.process_new_packets().unwrap();
        assert!(state.peer_has_closed());

        for missing in [0, 1, 5] {
            let mut pair = Pair::open(version);
            pair.say(b"one\n");
            pair.say(b"two\n");
            let pipe = pair.server.socket_mut();
            pipe.inbound.truncate(pipe.inbound.len() - missing);
            pipe.has_ended = true;
            let (text, end) = pair.read_all(100);
            let whole: &[u8] = if missing == 0 {
                b"one\ntwo\n"
            } else {
                b"one\n"
            };
            assert_eq!(text, whole);
            assert_eq!(end.unwrap_err().kind(), ErrorKind::UnexpectedEof);
        }
    }
}

#[test]
fn the_last_word_waits_for_a_blocked_socket() {
    let mut pair = Pair::open(&TLS13);
    pair.server.socket_mut().room = 10;
    assert_eq!(pair.write(&[IoSlice::new(b"bye\n")]).unwrap(), 4);
    assert!(!pair.server.finish());
    pair.server.socket_mut().room = 30;
    assert!(!pair.server.finish());
    pair.server.socket_mut().room = usize::MAX;
    assert!(pair.server.flush().unwrap() && pair.server.finish());
    assert_eq!(pair.receive(), b"bye\n");
    let state = pair.client.process_new_packets().unwrap();
    assert!(state.peer_has_closed());
}
