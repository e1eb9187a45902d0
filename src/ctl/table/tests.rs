//! Tables of servers of any size, in windows of any size.

use super::*;
use crate::ctl::snapshot::Client;

const KEYS: &str = "q: leave";

fn server(at_us: u64, clients: impl IntoIterator<Item = (u64, Client)>) -> Snapshot {
    let mut snapshot = Snapshot {
        at_us,
        has_all: true,
        clients: clients.into_iter().collect(),
        ..Snapshot::default()
    };
    snapshot.connected = snapshot.clients.len();
    snapshot
}

fn client(name: &str, room: &str, bytes_in: u64, behind_lines: u64) -> Client {
    Client {
        name: name.into(),
        room: room.into(),
        address: "192.0.2.1:50412".into(),
        lines_in: bytes_in / 10,
        bytes_in,
        bytes_out: 0,
        behind_lines,
        behind_bytes: behind_lines * 20,
        blocked: "no".into(),
    }
}

fn view<'a>(before: Option<&'a Snapshot>, now: &'a Snapshot) -> View<'a> {
    View {
        place: "unix:/x",
        before,
        now,
        clients_max: 2000,
        keys: Some(KEYS),
    }
}

fn texts(rows: &[Row]) -> Vec<&str> {
    rows.iter().map(|row| &*row.text).collect()
}

#[test]
fn a_server_is_shown_with_its_laggards_and_the_busiest() {
    let clients = |factor: u64| {
        [
            (1, client("kim", "pond", 1000 * factor, 0)),
            (2, client("마당", "lobby", 0, 1204)),
            (3, client("lee", "pond", 20 * factor, 3)),
        ]
    };
    let mut before = server(0, clients(1));
    let mut now = server(1_000_000, clients(5));
    for (snapshot, lines) in [(&mut before, 10), (&mut now, 1214)] {
        snapshot.take(&format!("* figure madang_lines_total: {lines}"));
        snapshot.take("* figure madang_rooms_occupied: 2");
    }
    let rows = rows(&view(Some(&before), &now), 80, 19);
    assert_eq!(
        texts(&rows),
        [
            "unix:/x   connections 3   rooms 2",
            "lines 1,204/s",
            "bytes in 4.1 kB/s   bytes out 0 B/s",
            "",
            "FURTHEST BEHIND  ROOM   ADDRESS          NUMBER  BLOCKED  LINES  BYTES",
            "마당             lobby  192.0.2.1:50412  #2      no       1,204  24 kB",
            "lee              pond   192.0.2.1:50412  #3      no           3   60 B",
            "",
            "BUSIEST CLIENTS  ROOM  ADDRESS          NUMBER  LINES        IN    OUT",
            "kim              pond  192.0.2.1:50412  #1      400/s  4.0 kB/s  0 B/s",
            "lee              pond  192.0.2.1:50412  #3      8.0/s    80 B/s  0 B/s",
            "",
            "BUSIEST ROOMS  CLIENTS  LINES        IN    OUT",
            "pond                 2  408/s  4.1 kB/s  0 B/s",
            "",
            "",
            "",
            "",
            KEYS,
        ]
    );
    let heads = rows.iter().filter(|row| row.style == Style::Head);
    assert_eq!(heads.count(), 3);
}

#[test]
fn no_row_is_wider_and_no_window_overflows_at_any_size() {
    let many = |factor: u64| {
        (0..60).map(move |n| (n, client(&format!("마당{n}"), "a room", n * factor, n)))
    };
    let (before, mut now) = (server(0, many(10)), server(500_000, many(20)));
    now.refused = Some("not done: too many commands".into());
    for width in [0, 1, 2, 9, 38, 80, usize::MAX] {
        for height in 0..40 {
            let rows = rows(&view(Some(&before), &now), width, height);
            assert!(
                rows.len() <= height.max(1),
                "{} rows of {height}",
                rows.len()
            );
            for row in &rows {
                assert!(row.text.width() <= width, "{width}: {row:?}");
            }
            // All of a window is used when there is enough to show.
            if height >= 2 {
                assert_eq!(rows.len(), height);
                let last = rows.last().unwrap();
                assert_eq!(last.text, cut(KEYS, width));
            }
        }
    }
}

#[test]
fn the_three_tables_share_a_window_and_leave_to_others_what_they_do_not_need() {
    let many = |factor: u64| (0..50).map(move |n| (n, client("kim", "pond", n * factor, 0)));
    let (before, now) = (server(0, many(10)), server(1_000_000, many(20)));
    let rows = rows(&view(Some(&before), &now), 80, 30);
    let count = |start: &str| {
        rows.iter()
            .filter(|row| row.text.starts_with(start))
            .count()
    };
    assert_eq!(
        (count("nobody"), count("FURTHEST"), count("BUSIEST")),
        (1, 1, 2)
    );
    assert_eq!((count("kim"), count("pond")), (10, 1));
}

#[test]
fn a_server_with_very_many_clients_says_that_not_all_are_compared() {
    let mut now = server(0, [(1, client("kim", "pond", 1, 7))]);
    (now.has_all, now.connected) = (false, 18_204);
    let rows = rows(&view(Some(&now.clone()), &now), 80, 24);
    let all = texts(&rows).join("\n");
    assert!(all.contains("connections 18,204"), "{all}");
    assert!(all.contains("kim"), "{all}");
    assert_eq!(
        all.matches("not shown above 2,000 connections").count(),
        2,
        "{all}"
    );
}

#[test]
fn trouble_is_told() {
    let mut now = server(0, []);
    now.take("* server is shutting down");
    now.take("! not done: why");
    let rows = rows(&view(None, &now), 80, 24);
    let warnings: Vec<_> = rows
        .iter()
        .filter(|row| row.style == Style::Warning)
        .collect();
    assert_eq!(warnings[0].text, "the server ends");
    assert_eq!(warnings[1].text, "the server refuses: not done: why");
}

#[test]
fn numbers_are_short() {
    for (number, want) in [
        (0.0, "0/s"),
        (0.26, "0.3/s"),
        (9.94, "9.9/s"),
        (9.96, "10/s"),
        (1203.6, "1,204/s"),
    ] {
        assert_eq!(rate(number), want);
    }
    for (number, want) in [
        (0.4, "0 B"),
        (999.0, "999 B"),
        (1000.0, "1.0 kB"),
        (9949.0, "9.9 kB"),
        (12_345.0, "12 kB"),
        (999_600.0, "1.0 MB"),
        (3.4e15, "3.4 PB"),
        (3.4e19, "34000 PB"),
    ] {
        assert_eq!(bytes(number), want);
    }
    for (number, want) in [
        (0.0, "0 µs"),
        (0.000_035, "35 µs"),
        (0.0012, "1.2 ms"),
        (0.25, "250 ms"),
        (2.5, "2.5 s"),
        (185.0, "3m5s"),
    ] {
        assert_eq!(seconds(number), want);
    }
    assert_eq!(
        (
            &*cut("마당 yard", 4),
            &*cut("마당", 4),
            &*cut("ab", 1),
            &*cut("ab", 0)
        ),
        ("마…", "마당", "…", "")
    );
}
