//! Items at every cut of the bytes, what is kept between them, and what the end of input is.

use super::*;

const OPTIONS: Options = Options {
    raw: false,
    line_bytes_max: 100,
    flush: false,
};

/// All lines in `bytes`. Panics at any other item.
fn lines(input: &mut Input, bytes: &[u8], options: Options) -> Vec<Vec<u8>> {
    let mut items = input.items(bytes, options);
    let mut got = Vec::new();
    while let Some(item) = items.next() {
        match item {
            Item::Line(line) => got.push(line.to_vec()),
            item => panic!("{item:?}"),
        }
    }
    got
}

#[test]
fn deferred_input_continues_where_it_stopped() {
    let text = b"one\r\ntwo\xff\xf1\nthree\nfour";
    let flush = Options {
        flush: true,
        ..OPTIONS
    };
    for stop_after in 0..4 {
        for cut in 0..text.len() {
            let (mut input, mut got) = (Input::new(true), Vec::new());
            for bytes in [&text[..cut], &text[cut..]] {
                let mut items = input.items(bytes, OPTIONS);
                while got.len() < stop_after
                    && let Some(Item::Line(line)) = items.next()
                {
                    got.push(line.to_vec());
                }
                drop(items);
                let deferred = input.take_deferred();
                got.extend(lines(&mut input, &deferred, OPTIONS));
                assert!(!input.has_deferred());
            }
            got.extend(lines(&mut input, b"", flush));
            let want = [&b"one"[..], b"two", b"three", b"four"];
            assert_eq!(got, want, "stopped after {stop_after}, cut at {cut}");
            input.check(OPTIONS.line_bytes_max);
        }
    }
}

#[test]
fn end_is_the_last_item_even_after_deferred_bytes() {
    let mut input = Input::new(true);
    input.finish();
    let mut items = input.items(b"one\ntwo\nlast", OPTIONS);
    assert_eq!(items.next(), Some(Item::Line(b"one")));
    drop(items);
    assert!(input.has_deferred());
    let deferred = input.take_deferred();
    let mut items = input.items(&deferred, OPTIONS);
    assert_eq!(items.next(), Some(Item::Line(b"two")));
    assert_eq!(items.next(), Some(Item::Line(b"last")));
    // Stopped before the end, which is therefore deferred.
    drop(items);
    assert!(input.has_deferred() && !input.has_deferred_bytes());
    let mut items = input.items(b"", OPTIONS);
    assert_eq!(items.next(), Some(Item::End));
    assert_eq!(items.next(), None);
    drop(items);
    assert!(!input.has_deferred());
}

#[test]
fn discarded_input_is_not_kept() {
    let mut input = Input::new(true);
    input.finish();
    let mut items = input.items(b"/quit\nnot\nheard\xff\xfd", OPTIONS);
    assert_eq!(items.next(), Some(Item::Line(b"/quit")));
    items.discard();
    assert_eq!(items.next(), None);
    drop(items);
    assert!(!input.has_deferred() && input.memory_bytes() == 0);
}

#[test]
fn only_unfinished_input_is_kept() {
    let (mut input, mut discarded) = (Input::new(false), 0);
    for (bytes, kept) in [
        (&b"whole\n"[..], false),
        (b"cut", true),
        (b" in two\r\n", false),
        (b"ends late\r", true),
        (b"\0", false),
        (&[b'x'; 101], true),
        (b"too long\n", false),
        (b"\xff", true),
        (b"\xf1", false),
        (b"\xff\xfd\x01", true),
    ] {
        let mut items = input.items(bytes, OPTIONS);
        while items.next().is_some() {}
        discarded += items.take_discarded();
        drop(items);
        let shown = bytes.escape_ascii();
        assert_eq!(input.pending.is_some(), kept, "after {shown}");
        input.check(OPTIONS.line_bytes_max);
    }
    assert_eq!(discarded, 101 + 9);
}

#[test]
fn http_and_tls_are_recognized_and_text_is_not() {
    for (bytes, want) in [
        (&b"GET / HTTP/1.1\r\nHost: x\r\n"[..], Some(Protocol::Http)),
        (b"POST /x?y HTTP/1.0\n", Some(Protocol::Http)),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Some(Protocol::Http)),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", Some(Protocol::Tls)),
        (b"GET a life\n", None),
        (b"get / HTTP/1.1\n", None),
        (b" / HTTP/1.1\n", None),
        (b"GET / HTTP/1.1 please\n", None),
        (b"I said GET / HTTP/1.1\n", None),
        (b"hello\nGET / HTTP/1.1\n", None),
        (&[&[b'x'; 150], &b"GET / HTTP/1.1\n"[..]].concat(), None),
    ] {
        for cut in 0..bytes.len() {
            let (mut input, mut got) = (Input::new(true), None);
            for piece in [&bytes[..cut], &bytes[cut..]] {
                let mut items = input.items(piece, OPTIONS);
                while let Some(item) = items.next() {
                    if let Item::WrongProtocol(protocol) = item {
                        got = got.or(Some(protocol));
                    }
                }
            }
            assert_eq!(got, want, "{} cut at {cut}", bytes.escape_ascii());
        }
    }
}

#[test]
fn an_http_request_line_after_a_flushed_part_is_text() {
    let mut input = Input::new(true);
    let flush = Options {
        flush: true,
        ..OPTIONS
    };
    lines(&mut input, b"half a line", flush);
    let got = lines(&mut input, b"GET / HTTP/1.1\n", OPTIONS);
    assert_eq!(got, [b"GET / HTTP/1.1"]);
}

#[test]
fn memory_of_an_unfinished_line_is_freed_at_its_end() {
    let options = Options {
        line_bytes_max: 1000,
        ..OPTIONS
    };
    let mut input = Input::new(false);
    let mut take = |bytes: &[u8]| {
        let mut items = input.items(bytes, options);
        while items.next().is_some() {}
        drop(items);
        input.memory_bytes()
    };
    // A negotiation, which is remembered for the whole connection.
    let negotiated = take(b"\xff\xfb\x01");
    assert!(take(&[b'x'; 900]) >= negotiated + 900);
    assert_eq!(take(b"\n"), negotiated);
}

#[test]
fn a_visit_takes_a_bounded_number_of_lines() {
    let mut input = Input::new(false);
    let bytes = b"\n".repeat(1000);
    let mut items = input.items(&bytes, OPTIONS);
    for _ in 0..256 {
        assert_eq!(items.next(), Some(Item::Line(b"")));
    }
    drop(items);
    assert_eq!(input.take_deferred().len(), 1000 - 256);
}
