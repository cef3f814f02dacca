//! One pass over the bytes. Everything that is looked for is ASCII, so a match never cuts a character.

use serde::Serialize;

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Kinds {
    pub email: bool,
    pub phone: bool,
    pub card: bool,
}

/// What was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub email: u64,
    pub phone: u64,
    pub card: u64,
}

/// Groups of digits that are looked at together, and the lengths of the numbers (ISO/IEC 7812 for cards, E.164 for phones).
const GROUPS_MAX: usize = 8;
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 8..=15;

enum Found {
    Phone,
    Card,
}

/// What stands at a place of the text.
enum Here {
    Found {
        start: usize,
        end: usize,
        mask: &'static str,
    },
    /// Nothing; look on from here.
    Nothing(usize),
}

/// The text without what was found; `None` if nothing was.
pub fn redact(text: &str, kinds: Kinds, counts: &mut Counts) -> Option<String> {
    let bytes = text.as_bytes();
    let mut clean = String::new();
    // Up to where the text has been taken over.
    let mut kept = 0;
    let mut at = 0;
    while at < bytes.len() {
        match look(bytes, at, kept, kinds, counts) {
            Here::Nothing(next) => at = next,
            Here::Found { start, end, mask } => {
                clean.push_str(&text[kept..start]);
                clean.push_str(mask);
                kept = end;
                at = end;
            }
        }
    }
    if kept == 0 {
        return None;
    }
    clean.push_str(&text[kept..]);
    Some(clean)
}

fn look(bytes: &[u8], at: usize, kept: usize, kinds: Kinds, counts: &mut Counts) -> Here {
    match bytes[at] {
        b'@' if kinds.email => email(bytes, at, kept).map_or(Here::Nothing(at + 1), |(start, end)| {
            counts.email += 1;
            Here::Found { start, end, mask: "[EMAIL]" }
        }),
        b'0'..=b'9' | b'+' | b'(' if (kinds.phone || kinds.card) && starts_number(bytes, at) => {
            match number(bytes, at, kinds) {
                Ok((end, Found::Card)) => {
                    counts.card += 1;
                    Here::Found { start: at, end, mask: "[CARD]" }
                }
                Ok((end, Found::Phone)) => {
                    counts.phone += 1;
                    Here::Found { start: at, end, mask: "[PHONE]" }
                }
                Err(next) => Here::Nothing(next),
            }
        }
        _ => Here::Nothing(at + 1),
    }
}

/// Around an `@`; not before `from`.
fn email(bytes: &[u8], at: usize, from: usize) -> Option<(usize, usize)> {
    let local = |byte: u8| byte.is_ascii_alphanumeric() || b"._%+-".contains(&byte);
    let domain = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
    let before = bytes[from..at].iter().rev().take_while(|byte| local(**byte)).count();
    let mut start = at - before;
    while start < at && bytes[start] == b'.' {
        start += 1;
    }
    let mut end = at + 1 + bytes[at + 1..].iter().take_while(|byte| domain(**byte)).count();
    while end > at + 1 && b".-".contains(&bytes[end - 1]) {
        end -= 1;
    }
    let host = &bytes[at + 1..end];
    let dot = host.iter().rposition(|byte| *byte == b'.')?;
    let top = &host[dot + 1..];
    let fits = start < at && dot > 0 && top.len() >= 2 && top.iter().all(u8::is_ascii_alphabetic);
    fits.then_some((start, end))
}

/// A number does not start in the middle of a word or of another number.
fn starts_number(bytes: &[u8], at: usize) -> bool {
    let Some(before) = at.checked_sub(1).map(|index| bytes[index]) else { return true };
    let joined = b".-/:,".contains(&before) && at >= 2 && bytes[at - 2].is_ascii_digit();
    !(before.is_ascii_alphanumeric() || before == b'_' || before == b'+' || before >= 0x80 || joined)
}

/// Groups of digits from a place on.
struct Groups {
    plus: bool,
    parenthesis: bool,
    /// Start and end of each, in bytes.
    spans: Vec<(usize, usize)>,
}

fn groups(bytes: &[u8], start: usize) -> Groups {
    let plus = bytes[start] == b'+';
    let mut at = start + usize::from(plus);
    let mut parenthesis = false;
    let mut spans: Vec<(usize, usize)> = Vec::new();
    while spans.len() < GROUPS_MAX {
        let opened = bytes.get(at) == Some(&b'(');
        let digits_at = at + usize::from(opened);
        let length = bytes[digits_at.min(bytes.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if length == 0 {
            break;
        }
        let mut end = digits_at + length;
        if opened {
            if bytes.get(end) != Some(&b')') {
                break;
            }
            end += 1;
            parenthesis |= spans.len() <= usize::from(plus);
        }
        spans.push((digits_at, digits_at + length));
        at = end;
        match bytes.get(at) {
            Some(b' ' | b'-' | b'.' | b'/') => at += 1,
            Some(b'(') => {}
            _ if opened => {}
            _ => break,
        }
    }
    Groups { plus, parenthesis, spans }
}

/// The longest run of groups that is a card or a phone number; else from where to look on.
fn number(bytes: &[u8], start: usize, kinds: Kinds) -> Result<(usize, Found), usize> {
    let groups = groups(bytes, start);
    let Some(first) = groups.spans.first() else { return Err(start + 1) };
    for count in (1..=groups.spans.len()).rev() {
        let spans = &groups.spans[..count];
        let end = spans[count - 1].1;
        if bytes.get(end).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80) {
            continue;
        }
        if kinds.card && !groups.plus && !groups.parenthesis && is_card(bytes, spans) {
            return Ok((end, Found::Card));
        }
        if kinds.phone && is_phone(bytes, spans, &groups) {
            return Ok((end, Found::Phone));
        }
    }
    Err(first.1)
}

fn is_card(bytes: &[u8], spans: &[(usize, usize)]) -> bool {
    let separators_fit =
        spans.windows(2).all(|pair| matches!(bytes[pair[0].1], b' ' | b'-') && pair[1].0 == pair[0].1 + 1);
    // Printed in groups of three to seven, or in one.
    let groups_fit = spans.len() == 1 || spans.iter().all(|(start, end)| (3..=7).contains(&(end - start)));
    let digits: Vec<u8> = spans.iter().flat_map(|(start, end)| &bytes[*start..*end]).map(|byte| byte - b'0').collect();
    separators_fit && groups_fit && CARD_DIGITS.contains(&digits.len()) && digits[0] != 0 && luhn(&digits)
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, digit)| {
            let digit = u32::from(*digit);
            if index % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// With a `+`, or with its area in parentheses, or in the groups in which numbers are written; so that dates, addresses of the
/// Internet and order numbers stay.
fn is_phone(bytes: &[u8], spans: &[(usize, usize)], groups: &Groups) -> bool {
    let lengths: Vec<usize> = spans.iter().map(|(start, end)| end - start).collect();
    let digits: usize = lengths.iter().sum();
    if groups.plus || groups.parenthesis {
        return PHONE_DIGITS.contains(&digits) && (groups.plus || spans.len() > 1);
    }
    let north_american = lengths == [3, 3, 4] || (lengths == [1, 3, 3, 4] && bytes[spans[0].0] == b'1');
    let national = bytes[spans[0].0] == b'0' && lengths[0] >= 3 && spans.len() > 1 && (9..=12).contains(&digits);
    north_american || national
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Kinds = Kinds { email: true, phone: true, card: true };

    fn check(text: &str, expected: &str) {
        let clean = redact(text, ALL, &mut Counts::default()).unwrap_or_else(|| text.to_owned());
        assert_eq!(clean, expected);
    }

    #[test]
    fn addresses_are_found_wherever_they_stand() {
        check("mail jo.b+x@mail.example.org.", "mail [EMAIL].");
        check("<a@b.co>,c@d.eu", "<[EMAIL]>,[EMAIL]");
        check("ü@example.org x@y @z a@b.c", "ü@example.org x@y @z a@b.c");
    }

    #[test]
    fn cards_are_found_by_their_check_digit() {
        check("card 4111 1111 1111 1111 ok", "card [CARD] ok");
        check("4111111111111111", "[CARD]");
        check("amex 3782-822463-10005!", "amex [CARD]!");
        check("4111 1111 1111 1112", "4111 1111 1111 1112");
    }

    #[test]
    fn phone_numbers_are_found_as_people_write_them() {
        check("call +49 30 901820 now", "call [PHONE] now");
        check("(555) 123-4567 or 555-123-4567", "[PHONE] or [PHONE]");
        check("1-800-555-0199; 030/9018200", "[PHONE]; [PHONE]");
    }

    #[test]
    fn dates_addresses_of_the_internet_and_order_numbers_stay() {
        for text in [
            "2024-01-02 10:30",
            "192.168.100.200",
            "order 1234567890",
            "12.05.2023",
            "pi 3.14159265358979",
            "v1.2.3",
            "id_5551234567",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn a_text_without_digits_and_addresses_is_left_as_it_is() {
        let mut counts = Counts::default();
        for text in ["", "ein Wort", "\u{1f600} + ( )", "+", "(", "+(", "((((", "@", "@@", "a@", "+-"] {
            assert_eq!(redact(text, ALL, &mut counts), None, "{text}");
        }
        assert_eq!(counts, Counts::default());
    }
}
