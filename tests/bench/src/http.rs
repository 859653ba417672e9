//! The server's side of HTTP/1.1 on a blocking stream: heads by httparse, bodies with
//! a length or in chunks, handed on in pieces as they come.

use std::io::{self, ErrorKind, IoSlice, Read, Write};

/// Large bodies are read in pieces of this size.
const BUFFER: usize = 256 << 10;
const HEADERS: usize = 64;

pub trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

pub struct Connection {
    stream: Box<dyn Stream>,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

/// A request's line and headers.
pub struct Head {
    pub method: String,
    pub path: String,
    headers: Vec<(String, String)>,
}

impl Head {
    /// `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn length(&self) -> Option<usize> {
        self.header("content-length").and_then(|length| length.parse().ok())
    }

    fn is_chunked(&self) -> bool {
        self.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
    }
}

/// How a body ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ending {
    Plain,
    /// With trailers: the Runtime API's way to say that an answer was cut.
    Trailers,
}

impl Connection {
    pub fn new(stream: Box<dyn Stream>) -> Self {
        Self { stream, buffer: vec![0; BUFFER].into(), start: 0, end: 0 }
    }

    /// The next request's head; nothing once the client has closed the connection.
    ///
    /// # Errors
    /// What the stream says, and [`ErrorKind::InvalidData`] for what is not HTTP/1.1.
    pub fn head(&mut self) -> io::Result<Option<Head>> {
        loop {
            if let Some((head, length)) = parse(self.unread())? {
                self.start += length;
                if head.header("expect").is_some() {
                    self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
                }
                return Ok(Some(head));
            }
            if self.fill()? == 0 {
                return Ok(None);
            }
        }
    }

    /// The request's body, in pieces, to `sink`.
    ///
    /// # Errors
    /// What the stream says, and [`ErrorKind::UnexpectedEof`] for a body cut short.
    pub fn body(&mut self, head: &Head, sink: &mut dyn FnMut(&[u8])) -> io::Result<Ending> {
        if !head.is_chunked() {
            self.pass(head.length().unwrap_or_default(), sink)?;
            return Ok(Ending::Plain);
        }
        loop {
            let size = self.chunk_size()?;
            if size == 0 {
                return self.trailers();
            }
            self.pass(size, sink)?;
            self.pass(2, &mut |_| ())?;
        }
    }

    /// A whole response of two parts, without copying them together.
    ///
    /// # Errors
    /// What the stream says.
    pub fn write(&mut self, head: &[u8], body: &[u8]) -> io::Result<()> {
        let written = self.stream.write_vectored(&[IoSlice::new(head), IoSlice::new(body)])?;
        match head.get(written..) {
            Some(rest) => {
                self.stream.write_all(rest)?;
                self.stream.write_all(body)?;
            }
            None => self.stream.write_all(body.get(written - head.len()..).unwrap_or_default())?,
        }
        self.stream.flush()
    }

    fn unread(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Reads more into the buffer; 0 at the stream's end.
    fn fill(&mut self) -> io::Result<usize> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let free = self.buffer.get_mut(self.end..).unwrap_or_default();
        if free.is_empty() {
            return Err(invalid("a head of more than the buffer"));
        }
        let read = self.stream.read(free)?;
        self.end += read;
        Ok(read)
    }

    fn pass(&mut self, mut length: usize, sink: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        while length > 0 {
            if self.start == self.end {
                self.more()?;
            }
            let piece = self.unread();
            let piece = piece.get(..length).unwrap_or(piece);
            sink(piece);
            let taken = piece.len();
            self.start += taken;
            length -= taken;
        }
        Ok(())
    }

    fn chunk_size(&mut self) -> io::Result<usize> {
        loop {
            let parsed = httparse::parse_chunk_size(self.unread()).map_err(|_| invalid("a chunk's size"))?;
            if let httparse::Status::Complete((taken, size)) = parsed {
                self.start += taken;
                return usize::try_from(size).map_err(|_| invalid("a chunk's size"));
            }
            self.more()?;
        }
    }

    fn trailers(&mut self) -> io::Result<Ending> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; HEADERS];
            let parsed = httparse::parse_headers(self.unread(), &mut headers).map_err(|_| invalid("a trailer"))?;
            if let httparse::Status::Complete((taken, found)) = parsed {
                let ending = if found.is_empty() { Ending::Plain } else { Ending::Trailers };
                self.start += taken;
                return Ok(ending);
            }
            self.more()?;
        }
    }

    /// As [`Connection::fill`], where there must be more.
    fn more(&mut self) -> io::Result<()> {
        if self.fill()? == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

/// A head and its length in bytes; nothing while it is not whole.
fn parse(bytes: &[u8]) -> io::Result<Option<(Head, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(length) = request.parse(bytes).map_err(|_| invalid("a request's head"))? else {
        return Ok(None);
    };
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let head = Head {
        method: request.method.unwrap_or_default().to_owned(),
        path: request.path.unwrap_or_default().to_owned(),
        headers: request.headers.iter().map(|h| (h.name.to_ascii_lowercase(), text(h.value))).collect(),
    };
    Ok(Some((head, length)))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("{what} is not HTTP/1.1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its text in pieces of `step` bytes, and keeps what is written.
    struct Script {
        text: Vec<u8>,
        step: usize,
    }

    impl Read for Script {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let length = self.step.min(self.text.len()).min(into.len());
            into[..length].copy_from_slice(&self.text[..length]);
            self.text.drain(..length);
            Ok(length)
        }
    }

    impl Write for Script {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn requests_are_read_however_they_are_cut() {
        let text = b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc\
            POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\nError: yes\r\n\r\n\
            GET /c HTTP/1.1\r\n\r\n";
        for step in [1, 2, 3, 7, 1000] {
            let mut connection = Connection::new(Box::new(Script { text: text.to_vec(), step }));
            let mut seen = Vec::new();
            while let Some(head) = connection.head().unwrap() {
                let mut body = Vec::new();
                let ending = connection.body(&head, &mut |piece| body.extend_from_slice(piece)).unwrap();
                seen.push((head.path, body, ending));
            }
            let expected = [
                ("/a".to_owned(), b"abc".to_vec(), Ending::Plain),
                ("/b".to_owned(), b"def".to_vec(), Ending::Trailers),
                ("/c".to_owned(), Vec::new(), Ending::Plain),
            ];
            assert_eq!(seen, expected, "in pieces of {step}");
        }
    }

    #[test]
    fn a_body_cut_short_is_an_error() {
        let text = b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nab".to_vec();
        let mut connection = Connection::new(Box::new(Script { text, step: 100 }));
        let head = connection.head().unwrap().unwrap();
        assert_eq!(connection.body(&head, &mut |_| ()).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }
}
