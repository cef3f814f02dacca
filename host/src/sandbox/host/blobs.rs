//! `blobs`: the bytes of the item's blobs, a piece at a time.

use crate::sandbox::bindings::v0_1::sandmill::plugin::blobs::Host;
use crate::sandbox::convert::find_blob;
use crate::sandbox::state::GuestState;

impl Host for GuestState {
    async fn read(&mut self, name: String, offset: u64, length: u32) -> wasmtime::Result<Result<Vec<u8>, String>> {
        Ok(find_blob(&self.blobs, &name).map(|blob| {
            let start = usize::try_from(offset).unwrap_or(usize::MAX).min(blob.bytes.len());
            let end = start.saturating_add(length as usize).min(blob.bytes.len());
            blob.bytes[start..end].to_vec()
        }))
    }
}
