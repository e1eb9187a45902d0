//! What the hub counts for operators: lines delivered, the largest rooms, clients that are slow or wait.

use super::*;
use crate::hub::Survey;
use crate::hub::limits::LATE_TIMEOUT_US;
use fastrand::Rng;

fn surveyed(hub: &Hub) -> Survey {
    let mut survey = Survey::default();
    // In two pieces, as a driver with little time would.
    let slots = hub.slots();
    let middle = slots.end / 2;
    hub.survey(slots.start..middle, &mut survey);
    hub.survey(middle..slots.end, &mut survey);
    assert_eq!(survey.clients, hub.clients());
    let held = survey.input_bytes + survey.output_bytes + hub.room_log_bytes();
    assert_eq!(held, hub.census().bytes);
    survey
}

#[test]
fn delivered_lines_are_those_whose_ends_were_written() {
    for seed in 0..20 {
        let mut rng = Rng::with_seed(seed);
        let mut test = TestHub::new(Limits {
            announce_members_max: 0,
            line_bytes_max: 100,
            room_log_bytes_max: 65_536,
            history_lines: 5,
            ..Limits::default()
        });
        let ids: Vec<_> = (0..4).map(|_| test.join()).collect();
        let mut read = vec![String::new(); ids.len()];
        for _ in 0..3_000 {
            let speaker = ids[rng.usize(1..ids.len())];
            let line = format!("{}\n", "x".repeat(rng.usize(1..90)));
            if test.send(speaker, line.as_bytes()) != Resume::Read {
                test.advance(LATE_TIMEOUT_US);
                test.resume_all();
            }
            while let Some(id) = test.hub.next_writable(test.now) {
                let nth = ids.iter().position(|&other| other == id);
                let nth = nth.expect("one of the clients");
                // The first one hardly reads.
                if nth > 0 || rng.u8(..) == 0 {
                    let n = rng.usize(1..2_000);
                    read[nth] += &test.read_some(id, n);
                }
            }
        }
        for (nth, &id) in ids.iter().enumerate() {
            read[nth] += &test.read(id);
        }
        let lines = read.iter().flat_map(|text| text.lines());
        let said = lines.filter(|line| line.starts_with("guest")).count();
        let totals = test.hub.totals();
        assert_eq!(totals.delivered_lines, said as u64, "seed {seed}");
        assert!(
            said > 300 && totals.skipped_lines > 0,
            "seed {seed}: {totals:?}"
        );
        let bytes: usize = read.iter().map(String::len).sum();
        assert!(totals.sent_bytes > bytes as u64 && totals.received_bytes > 0);
    }
}

#[test]
fn the_largest_rooms_come_first() {
    let mut test = TestHub::new(Limits::default());
    let ids: Vec<_> = (0..6).map(|_| test.join()).collect();
    let rooms = |test: &TestHub| -> Vec<(String, usize)> {
        let rooms = test.hub.largest_rooms();
        rooms
            .map(|(name, members)| (name.to_owned(), members))
            .collect()
    };
    assert_eq!(rooms(&test), [("lobby".to_owned(), 6)]);
    for (&id, room) in ids.iter().zip(["pond", "pond", "pond", "hill"]) {
        test.send(id, format!("/join {room}\n").as_bytes());
        test.read(id);
        test.resume_all();
        test.read(id);
    }
    let want = [("pond", 3), ("lobby", 2), ("hill", 1)];
    assert_eq!(
        rooms(&test),
        want.map(|(name, members)| (name.to_owned(), members))
    );
    assert_eq!((test.hub.occupied_rooms(), test.hub.rooms_open()), (3, 5));
    for &id in &ids[1..3] {
        test.hub.disconnect(test.now, id);
    }
    assert_eq!(rooms(&test)[0], ("lobby".to_owned(), 2));
    assert_eq!(rooms(&test).len(), 3);
}

#[test]
fn slow_and_waiting_clients_are_counted() {
    let mut test = TestHub::new(Limits {
        rate_lines: 1,
        burst_lines: 2,
        announce_members_max: 0,
        ..Limits::default()
    });
    let [kim, lee] = [(); 2].map(|()| test.join());
    assert_eq!(surveyed(&test.hub).blocked_by_rate, 0);
    for _ in 0..4 {
        test.send(kim, b"hello\n");
    }
    assert_eq!(surveyed(&test.hub).blocked_by_rate, 1);
    // The rate is one of their address.
    test.send(lee, b"hello\n");
    assert_eq!(surveyed(&test.hub).blocked_by_rate, 2);
    let mut test = TestHub::new(Limits::default());
    let kim = test.join();
    assert_eq!(surveyed(&test.hub).input_bytes, 0);
    test.send(kim, b"an unfinished line");
    let held = surveyed(&test.hub);
    assert!(held.input_bytes > 0 && held.laggards == 0, "{held:?}");
}

#[test]
fn members_that_nobody_waits_for_any_more_are_counted_until_they_have_caught_up() {
    let mut test = TestHub::new(Limits {
        announce_members_max: 0,
        ..Limits::default()
    });
    let [kim, lee] = [(); 2].map(|()| test.join());
    let line = format!("{}\n", "x".repeat(1_000));
    for _ in 0..150 {
        test.send_later(kim, line.as_bytes());
        test.flush_only(&[kim], |_, _| {});
    }
    assert_eq!(surveyed(&test.hub).laggards, 1);
    test.read(lee);
    assert_eq!(surveyed(&test.hub).laggards, 0);
}

#[test]
fn refused_newcomers_are_counted_by_reason() {
    let mut test = TestHub::new(Limits {
        clients_max: 2,
        clients_per_ip_max: 1,
        ..Limits::default()
    });
    let refused = |test: &TestHub| test.hub.totals().refused;
    test.join();
    assert!(test.connect(Wire::Chat).is_err());
    assert_eq!(refused(&test), [0, 1, 0, 0, 0, 0]);
    let peer = Peer::new(None, Wire::Chat);
    assert!(test.hub.connect(test.now, peer).is_ok());
    assert!(test.connect(Wire::Chat).is_err());
    let everything = ["0.0.0.0/0", "::/0"].map(|text| Range::parse(text).unwrap());
    let limits = test.hub.limits().clone();
    test.hub.set_limits(Limits {
        deny: everything.into_iter().collect(),
        ..limits
    });
    assert!(test.connect(Wire::Chat).is_err());
    test.hub.shutdown();
    assert!(test.connect(Wire::Chat).is_err());
    assert_eq!(refused(&test), [1, 1, 1, 0, 1, 0]);
    assert_eq!(test.hub.totals().refused_connections(), 4);
}
