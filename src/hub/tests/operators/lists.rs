//! Lists of clients, piece by piece.

use super::*;

#[test]
fn a_list_waits_for_its_reader_and_shows_nobody_twice() {
    let guests = 300;
    let (mut test, op, ids) = with_operator(Limits::default(), guests);
    test.send(op, b"/clients\n/who lobby\n");
    while test.carry_on() {}
    let held = test.hub.client(op).unwrap().outbox.reply_bytes();
    assert!(
        (LIST_BYTES_MARK..LIST_BYTES_MARK + 1024).contains(&held),
        "{held} bytes"
    );
    assert!(
        !test.hub.has_jobs(),
        "nothing is to be done before it reads"
    );
    // Meanwhile some leave, and others come and go to other rooms.
    let mut told = String::new();
    for &id in &ids[100..200] {
        test.hub.disconnect(test.now, id);
    }
    for nth in 0.. {
        let read = test.read_some(op, 5000);
        if read.is_empty() {
            break;
        }
        told += &read;
        while test.carry_on() {}
        test.send_later(
            ids[nth % 100],
            format!("/join room{}\n", nth % 7).as_bytes(),
        );
    }
    let mut numbers = Vec::new();
    let mut lines = told.lines().map(Line::parse);
    let end = lines.find_map(|line| match line {
        Line::Notice(text) => match Notice::parse(text) {
            Notice::Client {
                number,
                listener,
                bytes_in,
                age,
                ..
            } => {
                assert_eq!((listener, bytes_in.0, age.0), ("a, listener 2", 7, 60));
                numbers.push(number.0);
                None
            }
            other => Some(other),
        },
        other => panic!("{other:?}"),
    });
    let listed = numbers.len();
    assert_eq!(
        end,
        Some(Notice::Clients {
            listed,
            connected: 201
        })
    );
    assert!((201..=301).contains(&listed) && numbers.is_sorted_by(|a, b| a < b));
    assert!(
        lines.next().is_none(),
        "the next command waits for the end of the list"
    );
    test.resume_all();
    assert!(test.read(op).starts_with("* here in lobby: "));
}

#[test]
fn a_list_can_be_of_slow_clients_or_of_a_range() {
    let (mut test, op, ids) = with_operator(Limits::default(), 3);
    let far = test
        .connect_from(Some("10.0.0.1".parse().unwrap()), Wire::Raw)
        .unwrap();
    let listed = |told: &str| -> Vec<u64> {
        let notices = told.lines().filter_map(|line| line.strip_prefix("* "));
        let number = |notice| match notice {
            Notice::Client { number, .. } => Some(number.0),
            _ => None,
        };
        notices.map(Notice::parse).filter_map(number).collect()
    };
    let number = |id: ConnId| u64::from(id.serial());
    assert_eq!(
        listed(&command(&mut test, op, "/clients --from 10.0.0.0/8")),
        [number(far)]
    );
    let near = listed(&command(&mut test, op, "/clients --from guest2"));
    assert_eq!(near, ids.iter().copied().map(number).collect::<Vec<_>>());
    assert!(listed(&command(&mut test, op, "/clients --slow")).is_empty());
    let line = [b'x'; 8000];
    for _ in 0..20 {
        test.send_later(ids[0], &[&line[..], b"\n"].concat());
        test.flush_only(&[ids[0], ids[1]], |_, _| {});
    }
    let told = command(&mut test, op, "/clients --slow");
    assert_eq!(listed(&told), [number(ids[2])]);
    assert!(told.contains("behind_lines 20, behind_bytes 160"), "{told}");
    let told = command(&mut test, op, "/clients --from nobody");
    assert!(told.starts_with("! not done: there is no client nobody;"));
    let name = name_of(&test, op);
    let told = command(&mut test, op, &format!("/clients --from {name}"));
    assert!(told.ends_with("has no address; /kick works\n"), "{told}");
}
