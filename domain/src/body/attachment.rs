//! Files that belong to a message. A client names them by their ids; what is known of them, whoever
//! keeps them says.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::InvalidBody;

/// The most files of one message.
pub const MAX_ATTACHMENTS: usize = 10;
/// The longest name of a file, in characters.
pub const MAX_FILE_NAME_CHARACTERS: usize = 255;
/// The longest media type, in bytes.
const MAX_CONTENT_TYPE_BYTES: usize = 255;

/// A file of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    pub attachment_id: Uuid,
    /// In every event; what a client says of it counts for nothing.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub file: Option<File>,
}

/// What its readers need to know before they fetch it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct File {
    pub file_name: String,
    /// A media type, as its sender named it: nobody has looked inside.
    pub content_type: String,
    pub size_bytes: u64,
}

impl File {
    /// Checks name, type and size; errors with [`InvalidBody`].
    pub fn validated(self, max_bytes: u64) -> Result<Self, InvalidBody> {
        if self.size_bytes == 0 {
            return Err(InvalidBody::Field { field: "sizeBytes", why: "the file is empty" });
        }
        if self.size_bytes > max_bytes {
            return Err(InvalidBody::FileTooLarge { max_bytes });
        }
        Ok(Self {
            file_name: file_name(self.file_name)?,
            content_type: content_type(&self.content_type)?,
            size_bytes: self.size_bytes,
        })
    }
}

/// 1 to [`MAX_ATTACHMENTS`] different ones, by their ids alone.
pub(super) fn named(attachments: Vec<Attachment>) -> Result<Vec<Attachment>, InvalidBody> {
    let refused = |why| Err(InvalidBody::Field { field: "attachments", why });
    if !(1..=MAX_ATTACHMENTS).contains(&attachments.len()) {
        return refused("a message has 1 to 10 of them");
    }
    let mut ids: Vec<Uuid> =
        attachments.iter().map(|attachment| attachment.attachment_id).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.len() < attachments.len() {
        return refused("one is named twice");
    }
    Ok(without_files(&attachments))
}

/// The same files, by their ids alone.
pub(super) fn without_files(attachments: &[Attachment]) -> Vec<Attachment> {
    let bare = |attachment: &Attachment| Attachment { file: None, ..attachment.clone() };
    attachments.iter().map(bare).collect()
}

/// One that every file system and every screen shows as what it is.
fn file_name(name: String) -> Result<String, InvalidBody> {
    let refused = |why| Err(InvalidBody::Field { field: "fileName", why });
    if name.chars().count() > MAX_FILE_NAME_CHARACTERS {
        return refused("it is longer than 255 characters");
    }
    let name = super::line("fileName", name, MAX_FILE_NAME_CHARACTERS)?;
    if name.contains(['/', '\\']) || name == "." || name == ".." {
        return refused("it is a path");
    }
    if name.chars().any(turns_around) {
        return refused("it holds a character that turns the direction of writing");
    }
    Ok(name)
}

/// What makes `invoice\u{202e}fdp.exe` look like a PDF.
fn turns_around(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `type/subtype`, with parameters if there are any (RFC 9110, 8.3.1); in lower case but for the
/// parameters' values.
fn content_type(text: &str) -> Result<String, InvalidBody> {
    let invalid =
        || InvalidBody::Field { field: "contentType", why: "a media type is like image/png" };
    if text.len() > MAX_CONTENT_TYPE_BYTES {
        return Err(invalid());
    }
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let (main, sub) = essence.split_once('/').ok_or_else(invalid)?;
    if !is_token(main) || !is_token(sub) {
        return Err(invalid());
    }
    let mut content_type = essence.to_ascii_lowercase();
    for parameter in parts {
        let (name, value) = parameter.split_once('=').ok_or_else(invalid)?;
        if !is_token(name) || !is_token(value) {
            return Err(invalid());
        }
        content_type.push_str(&format!("; {}={value}", name.to_ascii_lowercase()));
    }
    Ok(content_type)
}

fn is_token(text: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::Body;

    const MAX: u64 = 100;

    fn file(name: &str, content_type: &str, size_bytes: u64) -> Result<File, InvalidBody> {
        let (file_name, content_type) = (name.to_owned(), content_type.to_owned());
        File { file_name, content_type, size_bytes }.validated(MAX)
    }

    #[test]
    fn a_file_has_a_name_a_type_and_a_size() {
        let checked = file("Über uns 👋.pdf", "Application/PDF", 100).unwrap();
        assert_eq!(checked.content_type, "application/pdf");
        assert!(file(&"é".repeat(255), "a/b", 1).is_ok());
        let typed = file("a", "text/plain;Charset=UTF-8", 1).unwrap().content_type;
        assert_eq!(typed, "text/plain; charset=UTF-8");
        assert_eq!(file("a", "a/b", 101), Err(InvalidBody::FileTooLarge { max_bytes: 100 }));
        for (name, content_type, size, wrong) in [
            ("a".repeat(256).as_str(), "a/b", 1, "fileName"),
            ("", "a/b", 1, "fileName"),
            (" ", "a/b", 1, "fileName"),
            ("a\nb", "a/b", 1, "fileName"),
            ("../a", "a/b", 1, "fileName"),
            ("a\\b", "a/b", 1, "fileName"),
            ("..", "a/b", 1, "fileName"),
            ("invoice\u{202e}fdp.exe", "a/b", 1, "fileName"),
            ("a", "", 1, "contentType"),
            ("a", "pdf", 1, "contentType"),
            ("a", "a/b/c", 1, "contentType"),
            ("a", "a/b\r\nset-cookie: x", 1, "contentType"),
            ("a", "a/b; c", 1, "contentType"),
            ("a", "a/b", 0, "sizeBytes"),
        ] {
            let refused = file(name, content_type, size);
            let Err(InvalidBody::Field { field, .. }) = refused else { panic!("{refused:?}") };
            assert_eq!(field, wrong, "{name} {content_type} {size}");
        }
    }

    fn body(json: &str) -> Result<Body, InvalidBody> {
        serde_json::from_str::<Body>(json).unwrap().validated()
    }

    #[test]
    fn a_client_names_files_by_their_ids_alone() {
        let id = "0193e5a0-7b1c-7def-8123-456789abcdef";
        let named = body(&format!(
            r#"{{"kind":"attachment","text":"e\u0301","attachments":[{{"attachmentId":"{id}",
            "fileName":"a","contentType":"text/html","sizeBytes":1}}]}}"#
        ))
        .unwrap();
        let Body::Attachment { text, attachments } = named else { panic!("{named:?}") };
        assert_eq!(text.as_deref(), Some("é"));
        let attachment_id = Uuid::try_parse(id).unwrap();
        assert_eq!(attachments, [Attachment { attachment_id, file: None }]);
    }

    #[test]
    fn its_reader_sees_the_text_and_the_names() {
        let json = r#"{"kind":"attachment","text":"look","attachments":[
            {"attachmentId":"0193e5a0-7b1c-7def-8123-456789abcdef","fileName":"box.jpg",
            "contentType":"image/jpeg","sizeBytes":1}]}"#;
        let body: Body = serde_json::from_str(json).unwrap();
        assert_eq!(body.texts(), ["look", "box.jpg"]);
    }

    #[test]
    fn a_message_has_1_to_10_different_files() {
        let with = |ids: &[u128]| {
            let attachments =
                ids.iter().map(|id| Attachment { attachment_id: Uuid::from_u128(*id), file: None });
            Body::Attachment { text: None, attachments: attachments.collect() }.validated()
        };
        assert!(with(&[1]).is_ok());
        assert!(with(&(1..=10).collect::<Vec<_>>()).is_ok());
        for wrong in [&[][..], &[1, 2, 1], &(1..=11).collect::<Vec<_>>()] {
            let refused = with(wrong);
            let is_named = matches!(refused, Err(InvalidBody::Field { field: "attachments", .. }));
            assert!(is_named, "{refused:?}");
        }
        assert!(body(r#"{"kind":"attachment","text":" ","attachments":[]}"#).is_err());
    }
}
