//! What kind of bytes a file holds, by its extension: what models take, and what people have folders of.

use std::path::Path;

/// Where the extension is none of these, or there is none.
const UNKNOWN: &str = "application/octet-stream";

/// By IANA's registry of media types, where it has one.
const TYPES: &[(&[&str], &str)] = &[
    (&["png"], "image/png"),
    (&["jpg", "jpeg", "jpe"], "image/jpeg"),
    (&["gif"], "image/gif"),
    (&["webp"], "image/webp"),
    (&["avif"], "image/avif"),
    (&["heic"], "image/heic"),
    (&["heif"], "image/heif"),
    (&["tif", "tiff"], "image/tiff"),
    (&["bmp"], "image/bmp"),
    (&["svg"], "image/svg+xml"),
    (&["pdf"], "application/pdf"),
    (&["txt", "text", "log"], "text/plain"),
    (&["md", "markdown"], "text/markdown"),
    (&["html", "htm"], "text/html"),
    (&["css"], "text/css"),
    (&["csv"], "text/csv"),
    (&["tsv"], "text/tab-separated-values"),
    (&["rtf"], "application/rtf"),
    (&["xml"], "application/xml"),
    (&["json"], "application/json"),
    (&["jsonl", "ndjson"], "application/x-ndjson"),
    (&["yaml", "yml"], "application/yaml"),
    (&["toml"], "application/toml"),
    (&["js", "mjs"], "text/javascript"),
    (&["eml"], "message/rfc822"),
    (&["doc"], "application/msword"),
    (&["docx"], "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    (&["xls"], "application/vnd.ms-excel"),
    (&["xlsx"], "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    (&["ppt"], "application/vnd.ms-powerpoint"),
    (&["pptx"], "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    (&["odt"], "application/vnd.oasis.opendocument.text"),
    (&["epub"], "application/epub+zip"),
    (&["zip"], "application/zip"),
    (&["gz"], "application/gzip"),
    (&["zst"], "application/zstd"),
    (&["parquet"], "application/vnd.apache.parquet"),
    (&["sqlite", "db"], "application/vnd.sqlite3"),
    (&["wasm"], "application/wasm"),
    (&["mp3"], "audio/mpeg"),
    (&["wav"], "audio/wav"),
    (&["flac"], "audio/flac"),
    (&["ogg", "oga", "opus"], "audio/ogg"),
    (&["m4a"], "audio/mp4"),
    (&["aac"], "audio/aac"),
    (&["mp4", "m4v"], "video/mp4"),
    (&["mov"], "video/quicktime"),
    (&["webm"], "video/webm"),
    (&["mkv"], "video/matroska"),
    (&["mpg", "mpeg"], "video/mpeg"),
    (&["avi"], "video/vnd.avi"),
];

pub fn mime_type(path: &Path) -> &'static str {
    let Some(extension) = path.extension().and_then(|extension| extension.to_str()) else { return UNKNOWN };
    let extension = extension.to_ascii_lowercase();
    TYPES.iter().find(|(known, _)| known.contains(&extension.as_str())).map_or(UNKNOWN, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_follows_from_the_extension_whatever_its_case() {
        assert_eq!(mime_type(Path::new("a/b.JPG")), "image/jpeg");
        assert_eq!(mime_type(Path::new("b.tar.gz")), "application/gzip");
        assert_eq!(mime_type(Path::new("README")), UNKNOWN);
        assert_eq!(mime_type(Path::new("x.unheard")), UNKNOWN);
    }
}
