//! Where a stream of server-sent events stands, and how to end it so that an event of which
//! only a part went out does not count.
//!
//! What a reader has of such an event cannot be taken back, and a blank line dispatches it
//! (HTML standard, 9.2.6). A NUL ends its line, which no JSON holds, no id and no number; and
//! as `incomplete` it reaches nobody who reads the model's events, or `error`.

/// Of a line, so much is kept: an id is never longer in earnest.
const KEPT: usize = 4096;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

#[derive(Default)]
pub(crate) struct SseTracker {
    /// The beginning of the line that has not ended.
    line: Vec<u8>,
    /// A line feed that comes next belongs to the same line end.
    is_after_return: bool,
    is_past_first_line: bool,
    /// Whether the unfinished event has a line that has ended.
    has_begun: bool,
    /// Whether it has a whole line of data.
    has_data: bool,
    /// Its id, if it has a whole line of one.
    id: Option<Vec<u8>>,
    /// The id of the last whole event: what a reader asks to go on from.
    last_id: Vec<u8>,
}

impl SseTracker {
    pub(crate) fn push(&mut self, mut part: &[u8]) {
        while let Some(first) = part.first() {
            if std::mem::take(&mut self.is_after_return) && *first == b'\n' {
                part = part.get(1..).unwrap_or_default();
                continue;
            }
            let end = part.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let (line, rest) = part.split_at(end.unwrap_or(part.len()));
            // One byte more tells that a line is longer.
            let room = (KEPT + 1).saturating_sub(self.line.len());
            self.line.extend_from_slice(line.get(..room).unwrap_or(line));
            if let Some((end, rest)) = rest.split_first() {
                self.end_line();
                self.is_after_return = *end == b'\r';
                part = rest;
            } else {
                part = rest;
            }
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let is_first = !std::mem::replace(&mut self.is_past_first_line, true);
        let line =
            Some(&line[..]).filter(|_| is_first).and_then(|line| line.strip_prefix(BYTE_ORDER_MARK)).unwrap_or(&line);
        if line.is_empty() {
            if let Some(id) = self.id.take() {
                self.last_id = id;
            }
            (self.has_begun, self.has_data) = (false, false);
            return;
        }
        self.has_begun = true;
        match field(line) {
            (b"data", _) => self.has_data = true,
            // Too long to give back: whoever connects again begins anew.
            (b"id", _) if line.len() > KEPT => self.id = Some(Vec::new()),
            (b"id", id) if !id.contains(&0) => self.id = Some(id.to_vec()),
            _ => {}
        }
    }

    /// What ends an event that went out in part, so that it does not count: neither its data,
    /// of which no reader can make JSON, nor its id. Where no event has begun, none is ended.
    pub(crate) fn end(&self) -> Vec<u8> {
        let mut end = Vec::new();
        let is_within_line = !self.line.is_empty();
        if is_within_line {
            end.extend(b"\0\n");
        } else if self.is_after_return {
            // It may be the first half of a line end.
            end.push(b'\n');
        }
        if !self.has_begun && !is_within_line {
            return end;
        }
        if self.id.as_ref().is_some_and(|id| *id != self.last_id) {
            end.extend([b"id: ", &self.last_id[..], b"\n"].concat());
        }
        if self.has_data && !self.line.starts_with(b"data:") {
            end.extend(b"data: \0\n");
        }
        end.extend(b"event: incomplete\n\n");
        end
    }
}

/// A line's field and its value.
fn field(line: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = line.splitn(2, |byte| *byte == b':');
    let (field, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    (field, value.strip_prefix(b" ").unwrap_or(value))
}
