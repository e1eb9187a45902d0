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

/// What `bytes` bring, cut into these pieces and then ended: the lines that are not empty, and the protocol.
fn lines_of<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, Option<Protocol>) {
    let (mut input, mut got, mut protocol) = (Input::new(true), Vec::new(), None);
    let mut take = |input: &mut Input, piece: &[u8]| {
        let mut items = input.items(piece, OPTIONS);
        while let Some(item) = items.next() {
            match item {
                Item::Line(b"") => {}
                Item::Line(line) => got.push(line.to_vec()),
                Item::WrongProtocol(wrong) => {
                    assert_eq!(protocol.replace(wrong), None);
                    return false;
                }
                _ => {}
            }
        }
        true
    };
    for piece in pieces {
        if !take(&mut input, piece) {
            return (got, protocol);
        }
    }
    input.finish();
    take(&mut input, b"");
    (got, protocol)
}

/// Asserts what `bytes` bring at every cut into two, and byte by byte.
#[track_caller]
fn assert_lines(bytes: &[u8], lines: &[&[u8]], protocol: Option<Protocol>) {
    let want = (lines.iter().map(|line| line.to_vec()).collect(), protocol);
    for cut in 0..=bytes.len() {
        let (front, back) = bytes.split_at(cut);
        let shown = bytes.escape_ascii();
        assert_eq!(lines_of([front, back]), want, "{shown} cut at {cut}");
    }
    assert_eq!(lines_of(bytes.chunks(1)), want, "{}", bytes.escape_ascii());
}

#[test]
fn nothing_of_another_protocol_becomes_a_line() {
    use Protocol::*;
    let cases: &[(&[u8], Protocol)] = &[
        (b"GET / HTTP/1.1\r\nHost: x\r\n", Http),
        (b"POST /x?y HTTP/1.0\n", Http),
        (b"\r\n\r\nGET / HTTP/1.0\r\n\r\n", Http),
        (b"\xef\xbb\xbfGET / HTTP/1.0\r\n\r\n", Http),
        (b"GET / HTTP/1.0", Http),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Http),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", Tls),
        (
            b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\nhello\n",
            Proxy,
        ),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01", Proxy),
        (b"SSH-2.0-OpenSSH_9.6\r\n", Ssh),
        (b"OPTIONS / RTSP/1.0\r\n\r\n", Rtsp),
        (b"OPTIONS sip:nm SIP/2.0\r\nVia: SIP/2.0/TCP nm\r\n", Sip),
        (b"*1\r\n$4\r\ninfo\r\n", Redis),
        (b"DIST00000001ARGC00000005", Distcc),
        // Probes of nmap, which are not text.
        (b"\x80\0\0(r\xfe\x1d\x13\0\0\0\0\0\0\0\x02", Binary),
        (b"\0\x06\x01\0\0\x01\0\0\0\0\0\0\x07version\x04bind", Binary),
        (b"\x03\0\0*%\xe0\0\0\0\0\0Cookie: mstshash=nmap\r\n", Rdp),
        (b"l\0\x0b\0\0\0\0\0\0\0\0\0", Binary),
        (
            b"0\x84\0\0\0-\x02\x01\x07c\x84\0\0\0$\x04\0\n\x01\0",
            Binary,
        ),
        (b"JRMI\0\x02K", JavaRmi),
        (b"\0Z\0\0\x01\0\0\0\x016\x01,", Binary),
        (b"\0\0\0\xa4\xff\x53MBr\0", Binary),
        (b":\0\0\0\xa7A\0\0", Binary),
        (b"\x10\x0e\0\x04MQTT\x04\x02\0<\0\x02ab", Mqtt),
        (b"\0\0\0qj\x81n0\x81k", Binary),
        (b"\x05\x01\0", Socks),
        (b"\x04\x01\0P\x7f\0\0\x01\0", Socks),
        (b"\x10\0\xfd\x05\tlocalhost", Binary),
        (b"DmdT\0\0\0\x17", Binary),
        (b"\x01default\n", Binary),
        (b"GIOP\x01\0\x01\0$\0", Binary),
        (b"abc\x01", Binary),
        (b"\x16", Binary),
        (b"h\0i\0\r\0\n\0", Utf16),
        (b"h\0\n\0", Utf16),
        (b"\0h\0i\0\n", Utf16),
        (b"\xff\xfeh\0i\0\n\0", Utf16),
        (b"\xff\xfe\r\0\n\0", Utf16),
        (b"\xff\xfeH\xc5U\xb1\n\0", Utf16),
        (b"\xff\xfe\0\xac\n\0", Utf16),
        (b"\xfe\xff\0h\0i\0\n", Utf16),
        (b"\xfe\xff\xc5H\xb1U\0\n", Utf16),
    ];
    for &(bytes, protocol) in cases {
        assert_lines(bytes, &[], Some(protocol));
    }
}

#[test]
fn what_a_person_may_begin_with_is_a_line() {
    let long = [&[b'x'; 95], &b" / HTTP/1.1"[..]].concat();
    let cases: &[(&[u8], &[&[u8]])] = &[
        (b"GET a life\n", &[b"GET a life"]),
        (b"hello\nGET / HTTP/1.1\n", &[b"hello", b"GET / HTTP/1.1"]),
        (b"hello\r\n\0\x01\n", &[b"hello", b"\0\x01"]),
        (b"\r\n\r\n", &[]),
        (b"HELP\r\n", &[b"HELP"]),
        (b"stats\r\n", &[b"stats"]),
        (b"*1\nok\n", &[b"*1", b"ok"]),
        (b"\x1b[A\x07\x15\x17\tx\n", &[b"\x1b[A\x07\x15\x17\tx"]),
        (b"a\x08b\x7f\n", &[b"a\x08b\x7f"]),
        (b"\r\0hi\r\0", &[b"hi"]),
        (b"\xff\xfd\x03\xff\xfb\x18\xff\xfb\x1fhi\r\n", &[b"hi"]),
        (b"\xff\xfe\x03hi\r\0", &[b"hi"]),
        (b"\xff\xfe\x03\xff\xfb\x18\r\0hi\r\0", &[b"hi"]),
        (b"\xff\xfa\x1f\0\x50\0\x18\xff\xf0hi\n", &[b"hi"]),
        // A byte order mark goes from the start, and only from there.
        (b"\xef\xbb\xbf/msg kim x\n", &[b"/msg kim x"]),
        (b"\xef\xbb\xbf\r\nhi\n", &[b"hi"]),
        (b"\xef\xbb\n", &[b"\xef\xbb"]),
        (b"\xef\xbb", &[b"\xef\xbb"]),
        (b"\xef\xbb\xbf", &[]),
        (b"hi\n\xef\xbb\xbfho\n", &[b"hi", b"\xef\xbb\xbfho"]),
        // Typed, after a negotiation.
        (b"\xff\xfc\x01helo\x08lo\r\0", &[b"hello"]),
        (b"\xff\xfc\x01\x7f\x7f\xed\x95\x9c\x7fa\n", &[b"a"]),
        (b"\xff\xfc\x01ze\xcc\x81\x08a\n", &[b"za"]),
        (b"helo\xff\xf7lo\n", &[b"hello"]),
        (b"helo\xff\xf8hello\n", &[b"hello"]),
        (b"one\n\xff\xf8\xff\xf7two\n", &[b"one", b"two"]),
        (&long, &[]),
    ];
    for &(bytes, lines) in cases {
        assert_lines(bytes, lines, None);
    }
}

#[test]
fn how_a_first_line_ends_is_remembered_between_lines() {
    let cases: &[(&[u8], &[&[u8]])] = &[
        (b"a\rb\rc\r", &[b"a", b"b", b"c"]),
        (b"a\nb\rc\n", &[b"a", b"b\rc"]),
        (b"a\r\0b\r\0", &[b"a", b"b"]),
        (b"a\n\r/b\n\r", &[b"a", b"/b"]),
    ];
    for &(bytes, lines) in cases {
        assert_lines(bytes, lines, None);
    }
}

#[test]
fn lines_that_telnet_may_have_damaged_are_known() {
    for (bytes, is_cut, want) in [
        (&b"a\n\xeb\x95\n"[..], true, false),
        (b"\xeb\x95\r\n", true, true),
        (b"\x80\r\n", false, false),
        (b"\xff\xfd\x06\xeb\x95\n", true, true),
        (b"\xff\xfd\x06\x80\n", false, true),
    ] {
        let mut input = Input::new(true);
        let mut items = input.items(bytes, OPTIONS);
        while items.next().is_some() {}
        assert_eq!(items.is_telnet(is_cut), want, "{}", bytes.escape_ascii());
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
