//! Xauthority files: records of a family (two bytes), an address, a display's number, the name of a way to prove oneself, and
//! what proves it, each of the four a length (two bytes) and that many bytes. Numbers are big-endian.
//!
//! Source: libXau, `AuRead.c` and `Xauth.h`.

use zeroize::Zeroizing;

/// The only way that is in use: a cookie that server and client know.
const COOKIE: &[u8] = b"MIT-MAGIC-COOKIE-1";
/// Addresses that are a computer's name.
const FAMILY_LOCAL: u16 = 256;
/// Any address.
const FAMILY_WILD: u16 = 65535;

struct Record<'f> {
    family: u16,
    number: &'f [u8],
    name: &'f [u8],
    data: &'f [u8],
}

/// A file with the cookie that `file` has for the local display `from`, as one for display `to` of any computer. `None` where
/// there is none.
pub(super) fn for_machine(file: &[u8], from: u32, to: u32) -> Option<Zeroizing<Vec<u8>>> {
    let from = from.to_string();
    let record = records(file).find(|record| {
        let is_local = [FAMILY_LOCAL, FAMILY_WILD].contains(&record.family);
        // One without a number is for all displays.
        let is_for = record.number.is_empty() || record.number == from.as_bytes();
        is_local && is_for && record.name == COOKIE
    })?;
    let to = to.to_string();
    let fields = [&b""[..], to.as_bytes(), COOKIE, record.data];
    let size = 2 + fields.iter().map(|field| 2 + field.len()).sum::<usize>();
    let mut made = Zeroizing::new(Vec::with_capacity(size));
    made.extend(FAMILY_WILD.to_be_bytes());
    for field in fields {
        made.extend(u16::try_from(field.len()).ok()?.to_be_bytes());
        made.extend(field);
    }
    Some(made)
}

/// The records of a file, as far as it is whole.
fn records(mut file: &[u8]) -> impl Iterator<Item = Record<'_>> {
    std::iter::from_fn(move || {
        let family = take_number(&mut file)?;
        let _address = take_field(&mut file)?;
        let (number, name, data) = (take_field(&mut file)?, take_field(&mut file)?, take_field(&mut file)?);
        Some(Record { family, number, name, data })
    })
}

fn take_number(file: &mut &[u8]) -> Option<u16> {
    let (number, rest) = file.split_first_chunk::<2>()?;
    *file = rest;
    Some(u16::from_be_bytes(*number))
}

fn take_field<'f>(file: &mut &'f [u8]) -> Option<&'f [u8]> {
    let length = usize::from(take_number(file)?);
    let (field, rest) = file.split_at_checked(length)?;
    *file = rest;
    Some(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(family: u16, number: &str, name: &[u8], data: &[u8]) -> Vec<u8> {
        let mut record = family.to_be_bytes().to_vec();
        for field in [b"computer", number.as_bytes(), name, data] {
            record.extend(u16::try_from(field.len()).unwrap().to_be_bytes());
            record.extend(field);
        }
        record
    }

    #[test]
    fn the_cookie_of_the_display_is_made_one_for_any_computer() {
        let file = [
            record(0, "1", COOKIE, b"over the network"),
            record(256, "1", b"XDM-AUTHORIZATION-1", b"other"),
            record(256, "10", COOKIE, b"not this display"),
            record(256, "1", COOKIE, b"this"),
        ]
        .concat();
        let made = for_machine(&file, 1, 0).unwrap();
        assert_eq!(*made, b"\xff\xff\0\0\0\x010\0\x12MIT-MAGIC-COOKIE-1\0\x04this");
        assert!(for_machine(&file, 2, 0).is_none());
        // A file that is cut off is read as far as it goes.
        assert!(for_machine(&file[..file.len() - 1], 1, 0).is_none());
        assert!(
            for_machine(&record(65535, "", COOKIE, b"all"), 7, 0).is_some_and(|made| made.ends_with(b"all"))
        );
    }
}
