//! Handshakes: however their bytes come, what is agreed upon, and those that are refused.

use super::super::*;
use super::pair::*;

#[test]
fn a_handshake_succeeds_however_its_bytes_arrive_and_leave() {
    for (version, _) in VERSIONS {
        for size in [1, 2, 3, 5, 7, 64, 255] {
            let mut pair = Pair::new(version);
            pair.server.socket_mut().read_max = size;
            pair.server.socket_mut().write_max = size;
            assert!((0..5000).any(|_| pair.step()), "{size} bytes at a time");
            pair.say(b"x\n");
            pair.assert_reads(b"x\n");
        }
    }
}

#[test]
fn what_came_with_the_handshake_is_read_without_anything_more() {
    let mut pair = Pair::new(&TLS13);
    pair.send();
    assert!(!pair.handshake().unwrap());
    pair.receive();
    pair.client.writer().write_all(b"early\n").unwrap();
    pair.client.send_close_notify();
    pair.send();
    assert!(pair.handshake().unwrap());
    let (text, end) = pair.read_all(3);
    assert_eq!(text, b"early\n");
    end.unwrap();
}

#[test]
fn an_endless_handshake_is_refused() {
    let mut pair = Pair::new(&TLS13);
    // A first message that says it has 60,000 bytes, in records of 1,000 each.
    let mut sent = Vec::from([
        1,
        0,
        60_000_u16.to_be_bytes()[0],
        60_000_u16.to_be_bytes()[1],
    ]);
    sent.resize(1000, 0);
    for _ in 0..60 {
        let inbound = &mut pair.server.socket_mut().inbound;
        inbound.extend([22, 3, 1]);
        inbound.extend(1000_u16.to_be_bytes());
        inbound.extend(&sent);
        sent.fill(0);
    }
    let error = pair.handshake().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    let left = pair.server.socket_mut().inbound.len();
    assert!(
        left + HANDSHAKE_BYTES_MAX + 2 * RECORD_BYTES_MAX > 60_000,
        "{left}"
    );
}

#[test]
fn plain_text_is_recognised_and_half_a_handshake_waits() {
    let mut pair = Pair::new(&TLS13);
    assert!(pair.server.is_plain(), "nothing has come");
    pair.server.socket_mut().inbound.extend(b"hello\n");
    let error = pair.handshake().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert!(pair.server.is_plain());

    let mut pair = Pair::new(&TLS13);
    pair.send();
    pair.server.socket_mut().inbound.truncate(40);
    assert!(!pair.handshake().unwrap() && !pair.server.is_plain());
    pair.server.socket_mut().has_ended = true;
    let error = pair.handshake().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn no_ticket_is_given_that_would_outlive_what_was_verified() {
    let mut pair = Pair::open(&TLS13);
    pair.receive();
    assert_eq!(pair.client.tls13_tickets_received(), 0);
}

#[test]
fn a_client_gets_aes_128_if_it_can_and_aes_256_if_it_has_nothing_else() {
    use rustls::CipherSuite::{TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384};
    let suite = |pair: &Pair| pair.client.negotiated_cipher_suite().unwrap().suite();
    let first = |provider: &CryptoProvider| provider.cipher_suites[0].suite();
    assert_eq!(first(&default_provider()), TLS13_AES_256_GCM_SHA384);
    assert_eq!(suite(&Pair::open(&TLS13)), TLS13_AES_128_GCM_SHA256);
    let mut provider = default_provider();
    provider.cipher_suites.truncate(1);
    let mut pair = Pair::with_provider(&TLS13, provider);
    pair.shake_hands();
    assert_eq!(suite(&pair), TLS13_AES_256_GCM_SHA384);
}
