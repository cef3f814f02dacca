//! Images, sound and files as parts of a message.

use crate::domain::base64;
use crate::domain::{Media, MediaSource};
use crate::provider::dialect::BadRequest;
use crate::provider::json::{Json, Object};

/// One medium as a part. Sound can only be sent inline; everything else by address too.
pub(super) fn part(media: &Media) -> Result<Json<'_>, BadRequest> {
    let family = media.mime_type.split('/').next().unwrap_or_default();
    let (kind, mut inner) = match family {
        "image" => ("image_url", Object::new().with("url", address(media))),
        // Not `OpenAI`'s, but what vLLM and OpenRouter call it.
        "video" => ("video_url", Object::new().with("url", address(media))),
        "audio" => ("input_audio", sound(media)?),
        _ if media.extra.iter().any(|pair| pair.name == "file_id") => ("file", Object::new()),
        _ => ("file", Object::new().with("file_data", address(media))),
    };
    let names_itself = media.extra.iter().any(|pair| matches!(pair.name.as_str(), "file_id" | "filename"));
    if kind == "file" && !names_itself {
        inner.set("filename", file_name(&media.mime_type));
    }
    inner.merge(&media.extra)?;
    Ok(Object::new().with("type", kind).with(kind, inner).into())
}

fn address(media: &Media) -> Json<'_> {
    match &media.source {
        MediaSource::Url(url) => url.as_str().into(),
        MediaSource::Bytes(bytes) => format!("data:{};base64,{}", media.mime_type, base64::encode(bytes)).into(),
    }
}

fn sound(media: &Media) -> Result<Object<'_>, BadRequest> {
    let MediaSource::Bytes(bytes) = &media.source else {
        return Err(BadRequest("sound cannot be sent by its address: send its bytes".to_owned()));
    };
    let subtype = media.mime_type.split(['/', ';']).nth(1).unwrap_or_default();
    let format = match subtype {
        "mpeg" | "mp3" => "mp3",
        "wav" | "x-wav" | "wave" | "vnd.wave" => "wav",
        other => other,
    };
    Ok(Object::new().with("data", base64::encode(bytes)).with("format", format))
}

/// `OpenAI` refuses a file without a name.
fn file_name(mime_type: &str) -> &'static str {
    match mime_type {
        "application/pdf" => "file.pdf",
        "application/json" => "file.json",
        "text/plain" => "file.txt",
        "text/csv" => "file.csv",
        "text/markdown" => "file.md",
        "text/html" => "file.html",
        _ => "file",
    }
}
