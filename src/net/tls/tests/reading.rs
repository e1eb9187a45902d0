//! What is received, in whatever pieces.

use super::super::*;
use super::pair::*;

#[test]
fn plaintext_goes_both_ways_in_both_versions() {
    for (version, shown) in VERSIONS {
        let mut pair = Pair::open(version);
        assert_eq!(pair.server.version(), Some(shown));
        pair.say(b"hello\n");
        pair.assert_reads(b"hello\n");
        let slices = [IoSlice::new(b"kim: "), IoSlice::new(b"hi\n")];
        assert_eq!(pair.write(&slices).unwrap(), 8);
        assert_eq!(pair.receive(), b"kim: hi\n");
    }
}

#[test]
fn records_may_be_split_at_every_byte() {
    for (version, _) in VERSIONS {
        let mut split = 0;
        loop {
            let mut pair = Pair::open(version);
            pair.say(b"one\n");
            pair.say(b"two\n");
            let inbound = &mut pair.server.socket_mut().inbound;
            if split > inbound.len() {
                break;
            }
            let rest = inbound.split_off(split);
            let (mut text, end) = pair.read_all(16);
            assert_eq!(end.unwrap_err().kind(), ErrorKind::WouldBlock);
            pair.server.socket_mut().inbound = rest;
            text.extend(pair.read_all(16).0);
            assert_eq!(text, b"one\ntwo\n", "split at {split}");
            split += 1;
        }
        assert!(split > 50);
    }
}

#[test]
fn plaintext_is_the_same_however_much_a_read_takes() {
    let line = [b'x'; 60_000];
    for most in [1, 100, 4096, RECORD_BYTES_MAX] {
        for size in [1000, usize::MAX] {
            let mut pair = Pair::open(&TLS13);
            pair.server.socket_mut().read_max = size;
            pair.say(&line);
            let (text, end) = pair.read_all(most);
            assert_eq!(text.len(), line.len(), "{most} of {size}");
            assert_eq!(end.unwrap_err().kind(), ErrorKind::WouldBlock);
        }
    }
}

#[test]
fn something_that_holds_no_plaintext_is_no_reason_to_wait() {
    let mut pair = Pair::open(&TLS13);
    pair.say(b"hello\n");
    let rest = pair.server.socket_mut().inbound.split_off(10);
    let mut into = [0; 100];
    let kind = pair.read_into(&mut into).unwrap_err().kind();
    assert_eq!(kind, ErrorKind::Interrupted);
    let kind = pair.read_into(&mut into).unwrap_err().kind();
    assert_eq!(kind, ErrorKind::WouldBlock);
    pair.server.socket_mut().inbound = rest;
    assert_eq!(pair.read_into(&mut into).unwrap(), 6);
}

#[test]
fn a_changed_byte_ends_the_connection_after_what_came_before() {
    for (version, _) in VERSIONS {
        let mut pair = Pair::open(version);
        pair.say(b"one\n");
        pair.say(b"two\n");
        *pair.server.socket_mut().inbound.back_mut().unwrap() ^= 1;
        let (text, end) = pair.read_all(100);
        assert_eq!(text, b"one\n");
        assert_eq!(end.unwrap_err().kind(), ErrorKind::InvalidData);
        // The peer is told why.
        let sent = pair.server.socket_mut().outbound.clone();
        assert!(!sent.is_empty());
        let (_, again) = pair.read_all(100);
        assert_eq!(again.unwrap_err().kind(), ErrorKind::InvalidData);
    }
}

#[test]
fn one_read_takes_little_unless_a_record_is_known_to_be_longer() {
    let mut pair = Pair::open(&TLS13);
    for _ in 0..1000 {
        pair.client.refresh_traffic_keys().unwrap();
        pair.say(b"x");
    }
    let all = pair.server.socket_mut().inbound.len();
    let mut into = [0; RECORD_BYTES_MAX];
    let n = pair.read_into(&mut into).unwrap();
    let taken = all - pair.server.socket_mut().inbound.len();
    assert!(taken <= READ_BYTES_MAX && n > 0, "{n} of {taken}");
    assert_eq!(pair.server.overhead(), (taken - n) as u64);

    let mut pair = Pair::open(&TLS13);
    pair.say(&[b'x'; RECORD_BYTES_MAX]);
    let part = pair.read_into(&mut into).unwrap_err();
    assert_eq!(part.kind(), ErrorKind::Interrupted);
    assert_eq!(pair.server.overhead(), READ_BYTES_MAX as u64);
    assert_eq!(pair.read_into(&mut into).unwrap(), RECORD_BYTES_MAX);
    assert_eq!(pair.server.overhead(), 0);
}

#[test]
fn a_connection_holds_no_more_than_it_may_however_its_records_arrive_and_leave() {
    for (version, _) in VERSIONS {
        for size in [1, 700, 5000, usize::MAX] {
            let mut pair = Pair::open(version);
            pair.server.socket_mut().read_max = size;
            pair.server.socket_mut().room = 100;
            pair.write(&[IoSlice::new(&[b'y'; RECORD_BYTES_MAX])])
                .unwrap();
            pair.say(&[b'x'; 2 * RECORD_BYTES_MAX]);
            // A read that takes little leaves the rest of a record here.
            let (mut received, mut most) = (0, 0);
            for nth in 0.. {
                let mut into = [0; RECORD_BYTES_MAX];
                let into = match nth % 3 {
                    0 => &mut into[..],
                    _ => &mut into[..900],
                };
                match pair.read_into(into) {
                    Ok(n) => received += n,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::WouldBlock);
                        break;
                    }
                }
                most = most.max(pair.held());
            }
            assert_eq!(received, 2 * RECORD_BYTES_MAX);
            assert!(most <= SESSION_BYTES_MAX - (4 << 10), "{most}");
        }
    }
}
