//! From bytes to text.

use crate::migration::Encoding;

/// Why bytes are no text.
pub(super) struct NoText {
    pub(super) message: String,
    pub(super) hint: &'static str,
}

/// Decodes a file. Line endings stay as they are; a byte order mark goes.
pub(super) fn decode(bytes: Vec<u8>) -> Result<(String, Encoding), NoText> {
    let (text, encoding) = match bytes.as_slice() {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => return Err(refused("UTF-32")),
        [0xff, 0xfe, rest @ ..] => (utf16(rest, u16::from_le_bytes)?, Encoding::Utf16Le),
        [0xfe, 0xff, rest @ ..] => (utf16(rest, u16::from_be_bytes)?, Encoding::Utf16Be),
        [0xef, 0xbb, 0xbf, rest @ ..] => (utf8(rest.to_vec(), 3)?, Encoding::Utf8Bom),
        // Text in UTF-16 without a mark begins with an ASCII character: every other byte is zero.
        [first, 0, second, 0, ..] if *first != 0 && *second != 0 => {
            return Err(refused("UTF-16 without a byte order mark"));
        }
        [0, first, 0, second, ..] if *first != 0 && *second != 0 => {
            return Err(refused("UTF-16 without a byte order mark"));
        }
        _ => (utf8(bytes, 0)?, Encoding::Utf8),
    };
    match text.find('\0') {
        None => Ok((text, encoding)),
        Some(offset) => Err(NoText {
            message: format!(
                "holds a NUL character in line {}",
                line(text.as_bytes().get(..offset).unwrap_or_default())
            ),
            hint: "Remove it: some databases would read only what comes before it",
        }),
    }
}

fn utf8(bytes: Vec<u8>, skipped: usize) -> Result<String, NoText> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        let byte = bytes.get(at).copied().unwrap_or_default();
        let line = line(bytes.get(..at).unwrap_or_default());
        let offset = at + skipped;
        NoText {
            message: format!("is not UTF-8: byte 0x{byte:02X} at offset {offset}, line {line}"),
            hint: "Convert it, for example with `iconv -f WINDOWS-1252 -t UTF-8`",
        }
    })
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, NoText> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let mut text = String::with_capacity(pairs.len());
    for unit in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
        match unit {
            Ok(c) => text.push(c),
            Err(_) => return Err(broken_utf16(&text)),
        }
    }
    if rest.is_empty() { Ok(text) } else { Err(broken_utf16(&text)) }
}

fn broken_utf16(before: &str) -> NoText {
    NoText {
        message: format!("is not valid UTF-16 in line {}", line(before.as_bytes())),
        hint: "Save it as UTF-8",
    }
}

fn refused(encoding: &str) -> NoText {
    NoText { message: format!("is encoded as {encoding}"), hint: "Save it as UTF-8" }
}

fn line(before: &[u8]) -> usize {
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}
