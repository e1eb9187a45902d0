//! Tables of names: which are accepted, which are refused and why.

use super::*;

/// Names that people have, and the form in which they are accepted.
#[test]
fn names_that_people_have_are_accepted() {
    for name in [
        "kim",
        "민수",
        "김철수",
        "さくら",
        "サッカー",
        "山田",
        "山田さくら",
        "محمد",
        "مُحَمَّد",
        "دانیال",
        "דוד",
        "राम",
        "अनिल",
        "श्रीकृष्ण",
        "রহিম",
        "தமிழ்",
        "నాగ",
        "นุช",
        "ကျော်",
        "ኃይሌ",
        "Արամ",
        "გიორგი",
        "Nguyễn",
        "Trần_Thị_Mỹ",
        "Zoë",
        "Łukasz",
        "Ярослав",
        "Їжак",
        "Юлія",
        "Νίκος",
        "Άννα",
        "ΑΝΝΑ",
        "İpek",
        "ışık",
        "Ćwik",
        "Sørensen",
        "Ægir",
        "Straße",
        "o\u{2bc}brien",
        "\u{2bb}Aulani",
        "a-b_c.d",
        "7up",
        "kim김",
        "kim山田さくら",
        "김金Kim",
        "guesthouse",
        "hostess",
        "youth",
        "Allan",
    ] {
        assert_eq!(nickname(name).map(|it| it.name), Ok(name.into()), "{name}");
        let decomposed: String = name.nfd().collect();
        assert_eq!(nickname(&decomposed), nickname(name), "{name} in NFD");
        assert!(room_name(name).is_ok(), "{name}");
    }
    for (raw, name) in [("ｋｉｍ", "kim"), ("\u{1112}\u{1161}\u{11ab}글", "한글")] {
        assert_eq!(nickname(raw).map(|it| it.name), Ok(name.into()));
    }
}

#[test]
fn invalid_names_are_refused_with_the_reason() {
    let long = "x".repeat(NAME_CHARS_MAX + 1);
    assert!(nickname(&long[1..]).is_ok());
    for (name, why) in [
        ("", Invalid::Length),
        (&*long, Invalid::Length),
        ("\u{fdfa}\u{fdfa}", Invalid::Length),
        ("a:b", Invalid::Character(':')),
        ("a b", Invalid::Character(' ')),
        ("o'brien", Invalid::Character('\'')),
        ("a\u{200d}b", Invalid::Character('\u{200d}')),
        ("a\u{200e}b", Invalid::Character('\u{200e}')),
        ("a\u{3164}b", Invalid::Character('\u{1160}')),
        ("kim\u{ad}", Invalid::Character('\u{ad}')),
        ("😀", Invalid::Character('😀')),
        // No scripts, and no points of Hebrew, that UTS #39 does not recommend for identifiers.
        ("ㄅㄆ", Invalid::Character('ㄅ')),
        ("מ\u{5b8}", Invalid::Character('\u{5b8}')),
        ("ᏦᎥᎷ", Invalid::Character('Ꮶ')),
        ("\u{301}a", Invalid::Start('\u{301}')),
        ("-a", Invalid::Start('-')),
        ("_a", Invalid::Start('_')),
        (".a", Invalid::Start('.')),
        ("a-", Invalid::End('-')),
        ("a_", Invalid::End('_')),
        ("kim.", Invalid::End('.')),
        ("host.", Invalid::End('.')),
        ("guest1.", Invalid::End('.')),
        ("a..b", Invalid::Doubled('.', '.')),
        ("a_-b", Invalid::Doubled('_', '-')),
        ("a__", Invalid::Doubled('_', '_')),
        ("a.\u{301}", Invalid::LooseMark('\u{301}')),
        ("37", Invalid::NoLetter),
        ("1.204", Invalid::NoLetter),
        ("\u{2bc}1\u{2bb}", Invalid::NoLetter),
    ] {
        assert_eq!(nickname(name), Err(why), "{name}");
    }
    assert!(nickname("*").is_err() && nickname("!").is_err());
}

/// UTS #39, section 5.4.
#[test]
fn marks_that_are_repeated_piled_up_or_not_seen_are_refused() {
    for (name, why) in [
        ("Zoe\u{308}\u{308}", Invalid::SameMark('\u{308}')),
        ("Zo\u{eb}\u{308}", Invalid::SameMark('\u{308}')),
        // In canonical order the mark below comes first.
        ("Zo\u{eb}\u{331}\u{308}", Invalid::SameMark('\u{308}')),
        ("م\u{64f}\u{64f}", Invalid::SameMark('\u{64f}')),
        ("x\u{301}\u{302}\u{303}\u{304}\u{306}", Invalid::Marks),
        ("ki\u{307}m", Invalid::HiddenDot('i')),
        ("kı\u{307}m", Invalid::HiddenDot('ı')),
        ("al\u{307}", Invalid::HiddenDot('l')),
        ("j\u{307}oe", Invalid::HiddenDot('j')),
        ("kim1\u{307}", Invalid::HiddenDot('1')),
        ("į\u{307}", Invalid::HiddenDot('i')),
        ("i\u{307}\u{323}x", Invalid::HiddenDot('i')),
        ("і\u{307}ван", Invalid::HiddenDot('і')),
    ] {
        assert_eq!(nickname(name), Err(why.clone()), "{name}");
        assert_eq!(room_name(name), Err(why), "{name}");
    }
    for name in [
        "x\u{301}\u{302}\u{303}\u{304}",
        "x\u{301}\u{302}\u{301}",
        "Zoë",
        "ı\u{301}\u{307}",
        "ż\u{301}",
        "ậ",
    ] {
        assert!(nickname(name).is_ok(), "{name}: {:?}", nickname(name));
    }
}

/// UTS #39, section 5.2: single script, or Latin with one of three combinations with Han.
#[test]
fn scripts_are_mixed_only_as_the_highly_restrictive_level_allows() {
    for (name, pair) in [
        ("кim", ['к', 'i']),
        ("hosт", ['h', 'т']),
        ("адmin", ['а', 'm']),
        ("kιm", ['k', 'ι']),
        ("kimदेव", ['k', 'द']),
        ("joined\u{903}", ['j', '\u{903}']),
        ("kim١", ['k', '١']),
        ("さく김", ['さ', '김']),
        ("山ц", ['山', 'ц']),
        ("a山さ김", ['さ', '김']),
        ("кατ", ['к', 'α']),
    ] {
        assert_eq!(nickname(name), Err(Invalid::Scripts(Some(pair))), "{name}");
    }
    for name in ["a山김", "a山さサ", "aさ", "김山", "さサ山"] {
        assert!(nickname(name).is_ok(), "{name}: {:?}", nickname(name));
    }
}

#[test]
fn reserved_words_are_refused_by_likeness() {
    for (names, word) in [
        ("server SERVER ｓｅｒｖｅｒ ser.ver s-e-r-v-e-r", "server"),
        ("you Y0U YOU y.o.u ΥΟU", "you"),
        ("host H0st HOST hOst h〇st ho\u{2bc}st", "host"),
        ("madang rnadang MADANG mad-ang", "madang"),
        ("lines Iines llnes LINES", "lines"),
        ("admin Admin adm1n ADMlN adrnin a.d.m.i.n", "admin"),
        ("аll", "all"),
    ] {
        for name in names.split(' ') {
            let got = nickname(name);
            let is_mixed = matches!(got, Err(Invalid::Scripts(_)));
            assert!(
                is_mixed
                    || got == Err(Invalid::LooksReserved(word))
                    || got == Err(Invalid::Reserved)
                        && name.nfkc().collect::<String>().eq_ignore_ascii_case(word),
                "{name}: {got:?}"
            );
        }
    }
    // Whole words of another script.
    assert_eq!(nickname("НЕРЕ").map(|it| it.name), Ok("НЕРЕ".into()));
    assert_eq!(nickname("ΗΕRΕ"), Err(Invalid::Scripts(Some(['Η', 'R']))));
    assert_eq!(nickname("ѕуѕтем").map(|it| it.name), Ok("ѕуѕтем".into()));
    let word = Name::Host.to_string();
    assert!(RESERVED.contains(&(&*word, &*word)), "it cannot be chosen");
    for (word, form) in RESERVED {
        assert_eq!(Likeness::of(word).forms().collect::<Vec<_>>(), [form]);
    }
}

#[test]
fn names_like_a_guest_s_are_refused() {
    for name in "guest guest7 Guest07 guestl guesti guest_1 guest-1 g.u.e.s.t.1 GUEST1 ｇuest1 guestO guest9876543210 \
                 guest2-17 Guest2-17 guest2_17 guest2.l7 guestl-O guest65535-99999999"
        .split(' ')
    {
        assert_eq!(nickname(name), Err(Invalid::Guest), "{name}");
    }
    let digits: String = (0..10)
        .flat_map(|digit: u8| {
            Likeness::of(&digit.to_string())
                .folded()
                .chars()
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(digits, DIGIT_FORMS);
}

#[test]
fn a_reason_names_the_character_or_the_word() {
    let why = |name: &str| nickname(name).unwrap_err().to_string();
    for (name, reason) in [
        ("", "a name has 1 to 24 characters"),
        (
            "a@b",
            "a name has letters, digits, '-', '_' and '.', not U+0040 ('@')",
        ),
        (
            "a\u{202e}b",
            "a name has letters, digits, '-', '_' and '.', not U+202E",
        ),
        (
            "-a",
            "a name begins with a letter or a digit, not U+002D ('-')",
        ),
        (
            "a.",
            "a name ends with a letter or a digit, not U+002E ('.')",
        ),
        ("a._b", "'._' in a name is too much: leave one of them out"),
        ("a.\u{301}", "the mark U+0301 is on no letter: leave it out"),
        (
            "Zoë\u{308}",
            "the mark U+0308 is there twice in a row: leave one out",
        ),
        (
            "x\u{301}\u{302}\u{303}\u{304}\u{306}",
            "a letter has at most 4 marks",
        ),
        (
            "ki\u{307}m",
            "the dot U+0307 is not seen on U+0069 ('i'): leave it out",
        ),
        (
            "кim",
            "a name has letters of one script, but U+043A ('к') is Cyrillic and U+0069 ('i') is Latin",
        ),
        ("42", "a name has at least one letter"),
        (
            "h0st",
            "that name looks like 'host', which is the server's own",
        ),
        ("guest_1", "names like guest1 are given by the server"),
    ] {
        assert_eq!(why(name), reason);
    }
}

#[test]
fn names_are_displayed_as_they_stand_in_lines() {
    for name in [
        Name::Guest(1),
        Name::Guest(1200),
        Name::Guest(guest_name::number(2, 17)),
        Name::Guest(u64::MAX),
        Name::Chosen(Box::new("kim".into())),
        Name::Host,
    ] {
        let mut out = Vec::new();
        name.append_to(&mut out);
        assert_eq!(out, name.to_string().as_bytes());
        assert!(is_persons_name(&name.to_string()), "{name}");
    }
}
