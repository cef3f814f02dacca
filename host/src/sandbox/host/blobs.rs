//! `blobs`: the bytes of the item's blobs, a piece at a time.

use crate::sandbox::bindings::v1_0::sandmill::plugin::blobs::Host;
use crate::sandbox::convert::find_blob;
use crate::sandbox::limits::Exceeded;
use crate::sandbox::state::GuestState;

impl Host for GuestState {
    async fn read(&mut self, name: String, offset: u64, length: u32) -> wasmtime::Result<Result<Vec<u8>, String>> {
        self.check_calls()?;
        self.calls.begin("blobs.read", std::iter::empty(), self.wall.elapsed());
        let _works = self.cpu.host_works();
        let blob = match find_blob(&self.blobs, &name) {
            Ok(blob) => blob,
            Err(unknown) => {
                self.calls.end(self.wall.elapsed());
                return Ok(Err(unknown));
            }
        };
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(blob.bytes.len());
        let end = start.saturating_add(length as usize).min(blob.bytes.len());
        if end - start > self.limits.transfer_bytes {
            return Err(Exceeded::Transfer.into());
        }
        let read = blob.bytes[start..end].to_vec();
        self.calls.end(self.wall.elapsed());
        Ok(Ok(read))
    }
}
