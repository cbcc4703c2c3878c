//! How a file that somebody else made is given to a browser: as a file, not as a page of ours.

/// Images that browsers show without running anything; everything else is saved.
const INLINE: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];

/// Whether a page may show it in its place.
pub fn is_inline(content_type: &str) -> bool {
    INLINE.contains(&content_type)
}

/// The header's value, with the name for old browsers and for those that know RFC 8187.
pub fn content_disposition(file_name: &str, content_type: &str) -> String {
    let sort = if is_inline(content_type) { "inline" } else { "attachment" };
    let plain: String = file_name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    let mut encoded = String::with_capacity(file_name.len());
    for byte in file_name.bytes() {
        if is_attribute_character(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("{sort}; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

/// Neither ends the quotes nor is decoded by anybody.
fn is_plain(character: char) -> bool {
    (character.is_ascii_graphic() || character == ' ') && !matches!(character, '"' | '\\' | '%')
}

/// RFC 8187's `attr-char`.
fn is_attribute_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_images_are_shown_in_their_place() {
        assert!(is_inline("image/png") && is_inline("image/webp"));
        for saved in ["image/svg+xml", "text/html", "application/pdf", "image/png; a=b", ""] {
            assert!(!is_inline(saved), "{saved}");
        }
    }

    #[test]
    fn any_name_is_one_harmless_header() {
        assert_eq!(
            content_disposition("Über \"uns\"%41.pdf", "application/pdf"),
            "attachment; filename=\"_ber _uns__41.pdf\"; \
             filename*=UTF-8''%C3%9Cber%20%22uns%22%2541.pdf"
        );
        let hostile = content_disposition("a\r\nset-cookie: b\\\u{202e}", "image/png");
        assert!(hostile.starts_with("inline; filename=\"a__set-cookie: b__\"; "), "{hostile}");
        assert!(axum::http::HeaderValue::try_from(hostile).is_ok());
    }
}
