//! Keys that change, as they must after so many records.

use super::super::*;
use super::pair::*;
use rustls::crypto::CipherSuiteCommon;
use rustls::{SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite};

#[test]
fn keys_are_updated_by_both_sides() {
    let mut pair = Pair::open(&TLS13);
    for nth in 0..100_u8 {
        pair.client.refresh_traffic_keys().unwrap();
        pair.say(&[nth, b'\n']);
        pair.assert_reads(&[nth, b'\n']);
        // The answer to the update goes before this.
        assert_eq!(pair.write(&[IoSlice::new(b"ok\n")]).unwrap(), 3);
        assert_eq!(pair.receive(), b"ok\n");
    }
}

#[test]
fn a_peer_that_only_updates_its_keys_is_refused() {
    let mut pair = Pair::open(&TLS13);
    for _ in 0..100 {
        pair.client.refresh_traffic_keys().unwrap();
        pair.send();
    }
    let (text, end) = pair.read_all(100);
    assert!(text.is_empty());
    assert_eq!(end.unwrap_err().kind(), ErrorKind::InvalidData);
    let held = &pair.server.socket_mut().outbound;
    assert!(held.len() < 4096, "{} bytes of answers", held.len());
}

/// Records that one key of [`short_lived`] may encrypt.
const KEY_RECORDS: u64 = 8;

/// A server whose keys are worn out soon, and a client whose keys are not.
fn short_lived(version: &'static SupportedProtocolVersion) -> Pair {
    let shortened = |common: &CipherSuiteCommon| CipherSuiteCommon {
        suite: common.suite,
        hash_provider: common.hash_provider,
        confidentiality_limit: KEY_RECORDS,
    };
    let shorten = |suite: SupportedCipherSuite| match suite {
        SupportedCipherSuite::Tls13(suite) => {
            let common = shortened(&suite.common);
            let suite = Tls13CipherSuite { common, ..*suite };
            SupportedCipherSuite::Tls13(Box::leak(Box::new(suite)))
        }
        SupportedCipherSuite::Tls12(suite) => {
            let common = shortened(&suite.common);
            let suite = Tls12CipherSuite { common, ..*suite };
            SupportedCipherSuite::Tls12(Box::leak(Box::new(suite)))
        }
    };
    let provider = default_provider();
    let cipher_suites = provider.cipher_suites.iter().copied().map(shorten);
    let provider = CryptoProvider {
        cipher_suites: cipher_suites.collect(),
        ..provider
    };
    let server = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(&WORLD.server.cert_resolver));
    let mut pair = Pair::with_server(version, default_provider(), &Arc::new(server));
    pair.shake_hands();
    pair
}

#[test]
fn worn_out_keys_are_changed_and_no_line_is_lost() {
    for room in [usize::MAX, 30] {
        let mut pair = short_lived(&TLS13);
        let (mut sent, mut received) = (Vec::<u8>::new(), Vec::<u8>::new());
        let mut bytes = 0;
        for nth in 0..100 {
            let line = format!("line {nth:02}\n");
            pair.server.socket_mut().room = room;
            while pair.write(&[IoSlice::new(line.as_bytes())]).is_err() {
                bytes += pair.server.socket_mut().outbound.len();
                received.extend(pair.receive());
                pair.server.socket_mut().room = room;
            }
            sent.extend(line.as_bytes());
            bytes += pair.server.socket_mut().outbound.len();
            received.extend(pair.receive());
            // The client answers with a change of its own keys.
            pair.say(b"x");
            pair.assert_reads(b"x");
        }
        pair.server.socket_mut().room = usize::MAX;
        assert!(pair.server.flush().unwrap());
        received.extend(pair.receive());
        assert_eq!(received, sent);
        // A record of a line has 8 bytes and 22 more, and every eighth changes the keys: 27 bytes.
        assert!(bytes >= 100 * 30 + 12 * 27, "{bytes}");
    }
}

#[test]
fn where_keys_cannot_be_changed_the_connection_ends_without_a_last_word() {
    let mut pair = short_lived(&TLS12);
    let mut sent = 0;
    let error = loop {
        match pair.write(&[IoSlice::new(b"line\n")]) {
            Ok(_) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 100, "worn out keys encrypt");
    };
    // The end of the handshake was the first record.
    assert_eq!((sent, error.kind()), (KEY_RECORDS - 1, ErrorKind::Other));
    assert_eq!(pair.receive(), b"line\n".repeat(sent as usize));
    let state = pair.client.process_new_packets().unwrap();
    assert!(!state.peer_has_closed());
}
