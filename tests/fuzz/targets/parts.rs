//! From bytes to structures: fields between bytes that no UTF-8 has, so that a seed can be written by hand and a mutation moves
//! one field.

/// Stands between two fields.
pub(crate) const END: u8 = 0xFF;

/// The fields of an input, one after the other.
pub(crate) struct Fields<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        Self { rest: Some(bytes) }
    }

    /// As text; empty behind the last one.
    pub(crate) fn text(&mut self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        self.next().unwrap_or_default()
    }

    /// A field's first character is what it is for, the rest what it holds.
    pub(crate) fn tagged(&mut self) -> Option<(u8, String)> {
        let field = self.next()?;
        let (tag, rest) = field.split_first().unwrap_or((&0, &[]));
        Some((*tag, String::from_utf8_lossy(rest).into_owned()))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        match rest.iter().position(|byte| *byte == END) {
            Some(at) => {
                self.rest = Some(&rest[at + 1..]);
                Some(&rest[..at])
            }
            None => self.rest.take(),
        }
    }
}
