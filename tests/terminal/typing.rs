//! While a line is typed, others come in: each is shown whole and in order, and the typed line stays whole below them.

use std::time::Duration;

use crate::fake_server::{NAME, OPENING};
use crate::model::{truncating, wrapping};
use crate::rig::{LEFT, Rig};
use crate::seeded;

const LINES: usize = 200;

/// Longest pause between two lines. With it, all lines come within about a second.
const PAUSE_MAX: Duration = Duration::from_millis(1000 * 2 / LINES as u64);

/// Lines of all kinds: short, as wide as the window, wider, with wide characters and combining marks.
fn lines() -> Vec<String> {
    let text = |number: usize| match number % 6 {
        0 => "hello".to_owned(),
        1 => "x".repeat(number % 70),
        2 => ["long words wrap"; 5].join(" "),
        3 => "안녕하세요 여러분, 마당에 오신 것을 환영합니다. 오늘도".to_owned(),
        4 => "가나다라마바사아자차카타파하".repeat(1 + number % 3),
        _ => "e\u{301}a\u{308} 👩‍👩‍👧 done".to_owned(),
    };
    let name = |number| ["kim", "lee"][number % 2];
    let line = |number| format!("{}: {number:03} {}", name(number), text(number));
    (0..LINES).map(line).collect()
}

/// On each terminal, `before` and `after` are typed while lines come in, and the cursor goes back by `clusters`, the length of
/// `after`. Then the typed line is sent.
fn type_among_lines(cols: u16, before: &str, (after, clusters): (&str, usize)) {
    for terminal in [wrapping, truncating] {
        let text = [before, after].concat();
        let mut keys: Vec<String> = text.chars().map(String::from).collect();
        keys.extend(vec![LEFT.to_owned(); clusters]);
        let mut rig = Rig::new(terminal(cols, 12));
        let mut shown = OPENING.map(str::to_owned).to_vec();
        shown.extend(type_and_receive(&mut rig, keys));
        rig.until_typed(before, after);
        rig.picture().check_lines(&shown, None).expect("every line");
        send(&mut rig, &text);
        shown.push(format!("{NAME}: {text}"));
        rig.picture().check_lines(&shown, None).expect("every line");
    }
}

/// Types keys while all the lines come in. Returns these.
fn type_and_receive(rig: &mut Rig, keys: Vec<String>) -> Vec<String> {
    let mut rng = seeded();
    let lines = lines();
    let mut keys = keys.into_iter();
    let steps = keys.len();
    for (number, line) in lines.iter().enumerate() {
        rig.send(line);
        // The typist is done before the last quarter of the lines.
        while (steps - keys.len()) * LINES * 3 < (number + 1) * steps * 4
            && let Some(key) = keys.next()
        {
            rig.keys(&key);
        }
        rig.run_for(PAUSE_MAX.mul_f64(rng.f64()));
    }
    rig.until_shown(&lines[LINES - 1]);
    lines
}

/// Enter sends the typed line and shows it above.
fn send(rig: &mut Rig, text: &str) {
    rig.keys("\r");
    rig.until_received(&[text]);
    rig.until_shown(&format!("{NAME}: {text}"));
    rig.until_typed("", "");
}

#[test]
fn a_short_line_stays_whole() {
    type_among_lines(40, "half a line, ", ("and its end", 11));
}

#[test]
fn hangul_at_the_right_margin_stays_whole() {
    // Columns 2 to 38 of 40: another character would reach the last column, which is never used.
    let before = "가나다라마바사아자차카타파하거너더러";
    type_among_lines(40, before, ("", 0));
    type_among_lines(41, &format!("{before}머버서"), ("어저처", 3));
}

#[test]
fn a_line_of_several_rows_stays_whole_around_its_cursor() {
    let before = "0123456789012345678901234567890123456789012345678901234567890";
    let after = ("가나다라마바사아자차가나다라마바사아자차가나다라마바", 26);
    type_among_lines(40, before, after);
}

#[test]
fn emoji_and_combining_marks_stay_whole() {
    let before = "👩‍👩‍👧 ❤\u{fe0f} 🇰🇷 e\u{301}a\u{308} ";
    let after = ("👍🏽 o\u{302}\u{323} \u{1112}\u{1161}\u{11ab}x", 6);
    type_among_lines(40, before, after);
}

#[test]
fn a_long_received_line_is_one_line_to_the_terminal() {
    let mut rig = Rig::new(wrapping(40, 12));
    let line =
        "kim: long words wrap, long words wrap, and 긴 낱말도 다음 줄로 넘어가지만 한 줄이다.";
    rig.keys("half a line that is itself longer than the window is");
    rig.send(line);
    rig.until_shown(line);
    assert_eq!(rig.picture().above(), [OPENING[0], OPENING[1], line]);
    // In a wide window it is on one row.
    rig.resize(100, 12);
    rig.send("kim: wide");
    rig.until_shown("kim: wide");
    let shown = [OPENING[0], OPENING[1], line, "kim: wide"];
    assert_eq!(rig.picture().above(), shown);
}
