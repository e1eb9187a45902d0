//! A client that breaks the rules: it encrypts what no library would send.

use super::super::*;
use super::pair::*;

#[test]
fn a_message_in_two_records_is_kept_while_something_is_written() {
    let mut forger = Forger::new();
    // A key update that asks for none in return: RFC 8446, 4.6.3.
    let update = [24, 0, 0, 1, 0];
    for at in 1..update.len() {
        let mut forger = Forger::new();
        forger.send(ContentType::Handshake, &update[..at]);
        forger.server.assert_reads(b"");
        let written = forger.server.write(&[IoSlice::new(b"hello\n")]);
        assert_eq!(written.unwrap(), 6);
        forger.send(ContentType::Handshake, &update[at..]);
        forger.server.assert_reads(b"");
        // The keys have changed.
        forger.send(ContentType::ApplicationData, b"lost\n");
        let (_, end) = forger.server.read_all(100);
        assert_eq!(end.unwrap_err().kind(), ErrorKind::InvalidData);
    }
    forger.send(ContentType::ApplicationData, b"hello\n");
    forger.server.assert_reads(b"hello\n");
}

#[test]
fn a_message_that_never_ends_is_refused_before_it_takes_more_than_a_record() {
    let mut forger = Forger::new();
    forger.send(ContentType::Handshake, &[24, 0, 0xff, 0xff]);
    for sent in (0..60_000).step_by(1000) {
        forger.send(ContentType::Handshake, &[0; 1000]);
        let (text, end) = forger.server.read_all(4096);
        assert!(text.is_empty());
        if end.unwrap_err().kind() == ErrorKind::InvalidData {
            assert!(sent > 10_000, "{sent}");
            return;
        }
        let held = forger.server.held();
        assert!(held <= SESSION_BYTES_MAX / 2, "{held}");
    }
    panic!("it is not refused");
}

#[test]
fn a_few_empty_records_are_passed_over_and_a_flood_of_them_is_refused() {
    let mut forger = Forger::new();
    for _ in 0..3 {
        (0..32).for_each(|_| forger.send(ContentType::ApplicationData, b""));
        forger.send(ContentType::ApplicationData, b"hello\n");
    }
    forger.server.assert_reads(b"hello\nhello\nhello\n");
    (0..33).for_each(|_| forger.send(ContentType::ApplicationData, b""));
    let (text, end) = forger.server.read_all(4096);
    assert!(text.is_empty());
    assert_eq!(end.unwrap_err().kind(), ErrorKind::InvalidData);
}

#[test]
fn a_record_that_is_announced_as_too_long_is_refused_at_its_header() {
    for version in [&TLS12, &TLS13] {
        let mut pair = Pair::open(version);
        let length = (RECORD_BYTES_MAX + RECORD_OVERHEAD_BYTES_MAX) as u16;
        let inbound = &mut pair.server.socket_mut().inbound;
        inbound.extend([23, 3, 3]);
        inbound.extend(length.to_be_bytes());
        let (_, end) = pair.read_all(4096);
        assert_eq!(end.unwrap_err().kind(), ErrorKind::InvalidData);
        assert!(pair.server.incoming.is_empty());
    }
}

#[test]
fn alerts_and_new_handshakes_without_encryption_are_refused() {
    for version in [&TLS12, &TLS13] {
        // A close_notify, a client's first message, data.
        for (typ, payload) in [(21, [1, 0]), (22, [1, 0]), (23, *b"x\n")] {
            let mut pair = Pair::open(version);
            pair.say(b"one\n");
            let inbound = &mut pair.server.socket_mut().inbound;
            inbound.extend([typ, 3, 3, 0, 2]);
            inbound.extend(payload);
            let (text, end) = pair.read_all(4096);
            assert_eq!(text, b"one\n");
            assert_eq!(end.unwrap_err().kind(), ErrorKind::InvalidData, "{typ}");
        }
    }
}
